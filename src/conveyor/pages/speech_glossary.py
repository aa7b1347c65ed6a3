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
        "What is said most often in the training set, whatever is heard.",
        "Câu được nói nhiều nhất trong phần huấn luyện, bất kể nghe thấy gì.",
    ),
    "nearest recording": Words(
        "What is said in the training recording that sounds most alike, both made 20 frames long: "
        "an answer that is found, and not written.",
        "Lấy câu của bản ghi âm huấn luyện nghe giống nhất, khi cả hai được co về 20 khung: tìm "
        "sẵn chứ không viết.",
    ),
    "mcd": Words(
        "Mel-cepstral distortion: how far the sound is from the nearest true recording of the same "
        "text and speaker, with time warped and loudness left out; less is better.",
        "Độ lệch mel-cepstral: âm thanh khác bản ghi thật gần nhất của cùng câu và người nói đến "
        "đâu, sau khi co giãn thời gian và không tính độ to; càng thấp càng tốt.",
    ),
    "length off": Words(
        "How much longer or shorter the sound is than that recording, as a share of it; less is "
        "better.",
        "Âm thanh dài hơn hay ngắn hơn bản ghi âm ấy bao nhiêu phần trăm; càng thấp càng tốt.",
    ),
    "recogniser's wer": Words(
        "How many words a recogniser mishears, of a hundred: whether the sound can be understood. "
        "It mishears true recordings, too; less is better.",
        "Cứ một trăm từ thì mạng nhận dạng nghe sai bao nhiêu: cho biết có nghe hiểu được không. "
        "Với bản ghi âm thật nó cũng nghe sai; càng thấp càng tốt.",
    ),
    "mean recording": Words(
        "The mean of all training recordings of the text by that speaker, made equally long, as a "
        "sound. Where there is none: of the text by others, else of the nearest text.",
        "Trung bình mọi bản ghi âm huấn luyện của câu ấy do người ấy nói, kéo về cùng độ dài rồi "
        "dựng thành âm thanh. Nếu không có thì lấy của người khác, hoặc của câu gần nhất.",
    ),
    "true recordings": Words(
        "Not to be beaten: how near another true recording of the same text by the same speaker "
        "comes, and how well true recordings are understood.",
        "Không phải để vượt qua: bản ghi âm thật khác của cùng câu, cùng người nói thì gần đến "
        "đâu, và bản ghi âm thật được nghe đúng đến đâu.",
    ),
    "true, resynthesised": Words(
        "Not to be beaten: sounds made of the frames of the true recordings themselves. What "
        "they lack, every network lacks that speaks such frames.",
        "Không phải để vượt qua: âm thanh dựng lại từ khung của chính bản ghi âm thật. Chúng "
        "thiếu gì thì mạng nào nói ra khung như vậy cũng thiếu.",
    ),
    "best path": Words(
        "The likeliest label of each step, the same ones in a row as one, without the blanks.",
        "Lấy nhãn có xác suất cao nhất ở mỗi bước, gộp các nhãn liền nhau giống nhau, bỏ bước "
        "trống.",
    ),
    "bits per sample": Words(
        "How many bits a sample takes if it is coded by the probabilities that are predicted: 8 if "
        "nothing is known; less is better.",
        "Một mẫu tốn bao nhiêu bit nếu mã hóa theo xác suất được dự đoán: không biết gì thì tốn 8; "
        "càng thấp càng tốt.",
    ),
    "histogram": Words(
        "How often each of the 256 levels was in the training set, whatever came before.",
        "Mỗi mức trong 256 mức xuất hiện bao nhiêu lần trong phần huấn luyện, bất kể trước đó là "
        "gì.",
    ),
    "linear prediction": Words(
        "A weighted sum of the 16 samples before, and how far samples were from it in the training "
        "set.",
        "Tổng có trọng số của 16 mẫu trước, cùng tần suất các độ lệch khỏi tổng ấy trong phần huấn "
        "luyện.",
    ),
    "linear prediction by loudness": Words(
        "Linear prediction whose errors are counted apart for each of 16 classes of how large the "
        "last 16 errors were, as a lossless coder adapts.",
        "Dự đoán tuyến tính với tần suất riêng cho mỗi mức độ to của 16 sai số gần nhất, như bộ "
        "nén không mất mát biết thích nghi.",
    ),
}
