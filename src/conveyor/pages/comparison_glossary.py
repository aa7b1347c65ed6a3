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
        "The GRU's best validation loss divided by the cell's, on the task where that is least: "
        "above 1 the cell is ahead everywhere.",
        "Mất mát kiểm định tốt nhất của GRU chia cho của tế bào, ở bài toán mà số ấy nhỏ nhất: "
        "trên 1 là hơn ở mọi bài toán.",
    ),
}
