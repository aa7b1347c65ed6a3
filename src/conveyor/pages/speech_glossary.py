"""Explanations of the words of reports on speech, see ``glossary.py``."""

from conveyor.pages.words import Words

EXPLAINED = {
    "wer": Words(
        "How many words must be put in, left out or replaced to make what was said of what was "
        "written, of a hundred that were said; less is better. It can exceed 100 %.",
        "Phải thêm, bớt hay thay bao nhiêu từ để câu viết ra thành câu đã nói, tính trên một trăm "
        "từ được nói; càng thấp càng tốt. Có thể vượt 100 %.",
    ),
    "cer": Words(
        "The character error rate: as WER, of characters, blanks counted; less is better.",
        "Tỷ lệ lỗi ký tự: như WER nhưng tính theo ký tự, kể cả dấu cách; càng thấp càng tốt.",
    ),
    "wrong recordings": Words(
        "The share of recordings of which anything was written wrong; less is better.",
        "Tỷ lệ bản ghi âm có chỗ viết sai, dù chỉ một; càng thấp càng tốt.",
    ),
    "most frequent text": Words(
        "What is said most often in the training part, whatever is heard.",
        "Câu được nói nhiều nhất trong phần huấn luyện, bất kể nghe thấy gì.",
    ),
    "nearest recording": Words(
        "What is said in the training recording that sounds most alike, both made 20 frames long: "
        "an answer that is found, and not written.",
        "Lấy câu của bản ghi âm huấn luyện nghe giống nhất, khi cả hai được co về 20 khung: tìm "
        "sẵn chứ không viết.",
    ),
    "best path": Words(
        "The likeliest label of each step, the same ones in a row as one, without the blanks.",
        "Lấy nhãn có xác suất cao nhất ở mỗi bước, gộp các nhãn liền nhau giống nhau, bỏ bước "
        "trống.",
    ),
}
