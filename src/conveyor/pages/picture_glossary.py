"""Explanations of the words of reports on pictures, see ``glossary.py``."""

from conveyor.pages.words import Words

EXPLAINED = {
    **{
        f"bleu-{words}": Words(
            f"How many runs of one to {words} words of a caption stand in those that people wrote, "
            "not smoothed; what is too short loses. From 0 to 100, more is better."
            if words > 1
            else "How many words of a caption stand in those that people wrote; what is too short "
            "loses. From 0 to 100, more is better.",
            f"Bao nhiêu cụm một đến {words} từ của câu mạng viết cũng có trong câu của người, "
            "không làm trơn; câu quá ngắn bị trừ điểm. Từ 0 đến 100, càng cao càng tốt."
            if words > 1
            else "Bao nhiêu từ của câu mạng viết cũng có trong câu của người; câu quá ngắn bị trừ "
            "điểm. Từ 0 đến 100, càng cao càng tốt.",
        )
        for words in (1, 2, 3, 4)
    },
    "most frequent caption": Words(
        "The caption that stands most often in the training set, whatever is seen.",
        "Câu thường gặp nhất trong phần huấn luyện, bất kể nhìn thấy gì.",
    ),
    "nearest picture": Words(
        "The caption of the training picture whose colours, or numbers, are most alike: an answer "
        "that is found, and not written.",
        "Lấy lời mô tả của ảnh huấn luyện có màu, hoặc các số, giống nhất: tìm sẵn chứ không viết.",
    ),
    "nearest video": Words(
        "The caption of the training video whose frames have colours most alike: an answer that is "
        "found, and not written.",
        "Lấy lời mô tả của video huấn luyện có màu các khung hình giống nhất: tìm sẵn chứ không "
        "viết.",
    ),
    "frames shuffled": Words(
        "The same network, shown the frames of each video in an order that is drawn: what it "
        "writes without knowing what comes first.",
        "Vẫn mạng ấy, nhưng khung hình của mỗi video bị xáo trộn: điều mạng viết khi không biết "
        "cái nào trước, cái nào sau.",
    ),
    "blind network": Words(
        "A network of the same size that sees nothing, and so says the same of every picture: what "
        "can be said without looking.",
        "Một mạng cùng cỡ nhưng không nhìn thấy gì, nên nói về mọi ảnh một câu: điều có thể nói mà "
        "không cần nhìn.",
    ),
}
