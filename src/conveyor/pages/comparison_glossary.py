"""Explanations of the words of reports that compare cells, see ``glossary.py``."""

from conveyor.pages.words import Words

EXPLAINED = {
    "first": Words(
        "Had other widths and learning rates been drawn, in so many of a hundred cases this cell "
        "would come first.",
        "Nếu rút các kích thước và tốc độ học khác, trong chừng ấy phần trăm trường hợp tế bào này "
        "đứng đầu.",
    ),
    "fitness": Words(
        "How many times as good the cell is as the GRU on the validation set, on the task where "
        "that is least: above 1 the cell is ahead everywhere.",
        "Tế bào tốt gấp mấy lần GRU trên phần kiểm định, ở bài toán mà số ấy nhỏ nhất: trên 1 là "
        "hơn ở mọi bài toán.",
    ),
}
