"""The words of reports: their Vietnamese names, and explanations for readers who do not know the
field."""

import re

from conveyor.pages import (
    comparison_glossary,
    latent_glossary,
    pen_glossary,
    picture_glossary,
    speech_glossary,
)
from conveyor.pages.vietnamese_names import VIETNAMESE
from conveyor.pages.words import Words, same

_BAND = Words(
    "The band that the model draws around its forecast, and how many of the true values lay inside "
    "it. A model that knows how sure it is has about as many there as the band says.",
    "Dải mà mô hình vẽ quanh dự báo, và bao nhiêu giá trị thực nằm trong đó. Mô hình biết mình "
    "chắc chắn đến đâu thì có gần đúng bấy nhiêu ở đó.",
)
_NATS = Words(
    "How surprised the model is by the next character, on average; 0 is never surprised, and less "
    "is better. A nat is 1.44 bits.",
    "Trung bình mô hình bất ngờ đến đâu trước ký tự kế tiếp; 0 là không hề bất ngờ, càng thấp càng "
    "tốt. Một nat là 1,44 bit.",
)
_STEP_NATS = Words(
    "How surprised the model is by the next step, on average; 0 is never surprised, and less is "
    "better. A nat is 1.44 bits.",
    "Trung bình mô hình bất ngờ đến đâu trước bước kế tiếp; 0 là không hề bất ngờ, càng thấp càng "
    "tốt. Một nat là 1,44 bit.",
)
_HIDDEN = Words(
    "How many numbers the network remembers from one step to the next; more can learn more.",
    "Mạng nhớ bao nhiêu con số từ bước này sang bước sau; càng nhiều càng học được nhiều.",
)
_RATE = Words(
    "How big a step the network takes each time it learns from a mistake.",
    "Mỗi lần học từ một lỗi sai, mạng thay đổi nhiều hay ít.",
)
_PARAMETERS = Words(
    "How many numbers inside the network are learned from the data.",
    "Bao nhiêu con số trong mạng được học từ dữ liệu.",
)
_INTERVAL = Words(
    "Had other widths and learning rates been drawn, the score would lie in here 95 times of 100.",
    "Nếu rút các kích thước và tốc độ học khác, điểm số nằm trong khoảng này 95 lần trên 100.",
)
_SECONDS = Words(
    "Seconds that a trial of the cell took; half of the trials took longer.",
    "Số giây cho một lần thử của tế bào; một nửa số lần thử lâu hơn thế.",
)
_EPOCH = Words(
    "One walk through all the data that is learned from.",
    "Một lượt đi qua toàn bộ dữ liệu dùng để học.",
)
_NAIVE = Words(
    "The simplest forecast: everything stays as it was last.",
    "Dự báo đơn giản nhất: mọi thứ giữ nguyên như lần cuối.",
)
_CHARACTER = Words(
    "A model without a network: it knows what mostly comes after a character, or after a word, a "
    "syllable or a sub-word where the text is read so.",
    "Mô hình không có mạng: nó biết sau một ký tự (hoặc một từ, âm tiết, mảnh từ, tùy cách đọc văn "
    "bản) thường là gì.",
)
_TWO_CHARACTERS = Words(
    "A model without a network: it knows what mostly comes after two characters, or after two "
    "words, syllables or sub-words where the text is read so.",
    "Mô hình không có mạng: nó biết sau hai ký tự (hoặc hai từ, âm tiết, mảnh từ, tùy cách đọc văn "
    "bản) thường là gì.",
)


def _symbol_nats(unit: str, vietnamese: str) -> Words:
    """Return what nats per symbol are."""
    return Words(
        f"How surprised the model is by the next {unit}, on average; only texts that are read by "
        f"{unit}s alike can be compared by it, others by nats per character.",
        f"Trung bình mô hình bất ngờ đến đâu trước {vietnamese} kế tiếp; chỉ so sánh được giữa các "
        f"mô hình cùng đọc theo {vietnamese}, còn lại hãy so theo nat mỗi ký tự.",
    )


def _perplexity(unit: str, vietnamese: str) -> Words:
    """Return what the perplexity of a symbol is."""
    return Words(
        f"Among how many {unit}s, all as likely, the model seems to choose each time; less is "
        "better. Other units have other perplexities: compare them by nats per character.",
        f"Mỗi lần mô hình như phải chọn giữa bao nhiêu {vietnamese} có khả năng ngang nhau; càng "
        "thấp càng tốt. Đơn vị khác có perplexity khác: hãy so sánh bằng nat mỗi ký tự.",
    )


# The explanations, by the word in lower case.
EXPLAINED: dict[str, Words] = {
    **picture_glossary.EXPLAINED,
    **speech_glossary.EXPLAINED,
    **pen_glossary.EXPLAINED,
    **latent_glossary.EXPLAINED,
    **comparison_glossary.EXPLAINED,
    "mae": Words(
        "Mean absolute error: how far off a forecast is on average, in the units of the data; "
        "less is better.",
        "Sai số tuyệt đối trung bình: dự báo trung bình lệch bao nhiêu, theo đơn vị của dữ liệu; "
        "càng thấp càng tốt.",
    ),
    "mae in standard deviations": Words(
        "How far off a forecast is on average, in standard deviations of each target, so that "
        "several can be put together; less is better.",
        "Dự báo trung bình lệch bao nhiêu, tính theo độ lệch chuẩn của từng cột đích để gộp được "
        "nhiều cột; càng thấp càng tốt.",
    ),
    "rmse": Words(
        "Root mean squared error: like MAE, but a few big misses weigh more; less is better.",
        "Căn của sai số bình phương trung bình: như MAE, nhưng vài lần lệch lớn nặng hơn; càng "
        "thấp càng tốt.",
    ),
    "mase": Words(
        "Mean absolute scaled error: the error as a share of what repeating the last season "
        "makes; below 1 is better than that.",
        "Sai số tuyệt đối có chuẩn hoá: sai số chia cho sai số của cách lặp lại mùa trước; dưới 1 "
        "là tốt hơn cách ấy.",
    ),
    "smape": Words(
        "Symmetric mean absolute percentage error: the error in percent of the mean of forecast "
        "and true value; less is better, and 200 % is the most.",
        "Sai số phần trăm tuyệt đối đối xứng: sai số tính theo phần trăm của trung bình giữa dự "
        "báo và giá trị thực; càng thấp càng tốt, cao nhất là 200 %.",
    ),
    "wape": Words(
        "Weighted absolute percentage error: all errors together, in percent of all true values "
        "together; less is better.",
        "Sai số phần trăm tuyệt đối có trọng số: tổng mọi sai số, tính theo phần trăm của tổng mọi "
        "giá trị thực; càng thấp càng tốt.",
    ),
    "mean squared error": Words(
        "The mean of the squares of the errors, so that big misses weigh more; less is better.",
        "Trung bình bình phương của các sai số, nên lệch lớn thì nặng hơn; càng thấp càng tốt.",
    ),
    "% band": _BAND,
    "in % band": _BAND,
    "pinball loss": Words(
        "What training makes small: an error that is low when the middle and the band of a "
        "forecast are both where they should be.",
        "Thứ mà huấn luyện làm nhỏ đi: sai số này thấp khi cả đường giữa lẫn dải của dự báo đều "
        "nằm đúng chỗ.",
    ),
    "naive": _NAIVE,
    "seasonal naive": Words(
        "A simple forecast: everything repeats as it was one season ago, as the same day last "
        "week; a model should beat it.",
        "Dự báo đơn giản: mọi thứ lặp lại như một mùa trước, như cùng ngày tuần trước; mô hình "
        "phải tốt hơn nó.",
    ),
    "drift": Words(
        "A simple forecast: the line from the first value to the last, continued.",
        "Dự báo đơn giản: kéo dài đường thẳng nối giá trị đầu với giá trị cuối.",
    ),
    "theta": Words(
        "A forecast without a network that is hard to beat: the smoothed level and half of the "
        "trend, with the season taken out and put back.",
        "Dự báo không cần mạng mà khó vượt qua: mức đã làm trơn và một nửa xu hướng, tách mùa ra "
        "rồi cộng lại.",
    ),
    "baseline": Words(
        "A simple method without a network; a model that does not beat it is not worth its "
        "trouble.",
        "Phương pháp đơn giản không có mạng; mô hình không hơn được nó thì không đáng công.",
    ),
    "nats": _STEP_NATS,
    "nats per step": _STEP_NATS,
    "nats per character": _NATS,
    "bits per character": Words(
        "The same in bits: so many yes-or-no questions the next character takes, on average, of "
        "one who knows what the model knows; less is better.",
        "Cũng số đó tính bằng bit: người biết những gì mô hình biết cần trung bình bấy nhiêu câu "
        "hỏi có/không để đoán ra ký tự kế tiếp; càng thấp càng tốt.",
    ),
    "nats per word": _symbol_nats("word", "từ"),
    "nats per syllable": _symbol_nats("syllable", "âm tiết"),
    "nats per sub-word": _symbol_nats("sub-word", "mảnh từ"),
    "perplexity per word": _perplexity("word", "từ"),
    "perplexity per syllable": _perplexity("syllable", "âm tiết"),
    "perplexity per sub-word": _perplexity("sub-word", "mảnh từ"),
    "perplexity": Words(
        "Among how many characters or tokens, all as likely, the model seems to choose each time; "
        "less is better.",
        "Mỗi lần mô hình như phải chọn giữa bao nhiêu ký tự hay đơn vị có khả năng ngang nhau; "
        "càng thấp càng tốt.",
    ),
    "unigram": Words(
        "A model without a network: it knows only how often each character occurs, or each word, "
        "syllable or sub-word where the text is read so.",
        "Mô hình không có mạng: nó chỉ biết mỗi ký tự (hoặc từ, âm tiết, mảnh từ, tùy cách đọc văn "
        "bản) xuất hiện nhiều hay ít.",
    ),
    "2-gram": _CHARACTER,
    "3-gram": _TWO_CHARACTERS,
    "5-gram": Words(
        "A model without a network: it knows what mostly comes after four characters (or words, "
        "syllables, sub-words), and asks fewer of them where it has not seen all four, as Kneser "
        "and Ney found best.",
        "Mô hình không có mạng: nó biết sau bốn ký tự (hoặc từ, âm tiết, mảnh từ) thường là gì, và "
        "theo cách của Kneser và Ney, chỉ nhìn ngắn hơn khi chưa từng gặp cả bốn.",
    ),
    "uniform": Words(
        "A model that takes all characters, or words, syllables, sub-words, for equally likely.",
        "Mô hình coi mọi ký tự (hoặc từ, âm tiết, mảnh từ) có khả năng như nhau.",
    ),
    "share of wrong sequences": Words(
        "How many sequences are answered wrongly, as a share of all; 0 is none, and less is "
        "better.",
        "Tỷ lệ chuỗi bị trả lời sai; 0 là không chuỗi nào, càng thấp càng tốt.",
    ),
    "share of wrong images": Words(
        "How many images are taken for another digit, as a share of all; 0 is none, and less is "
        "better.",
        "Tỷ lệ ảnh bị nhận nhầm thành chữ số khác; 0 là không ảnh nào, càng thấp càng tốt.",
    ),
    "target": Words(
        "The column of the table that is forecast.", "Cột của bảng dữ liệu được dự báo."
    ),
    "always the mean": Words(
        "A guess without a network: always the mean of the answers.",
        "Đoán không cần mạng: luôn trả lời bằng trung bình của các đáp án.",
    ),
    "without looking": Words(
        "A guess without a network: the best answer for who does not see the input.",
        "Đoán không cần mạng: câu trả lời tốt nhất khi không nhìn đầu vào.",
    ),
    "key by key": Words(
        "A model without a network: it looks at one key of the piano and one step at a time.",
        "Mô hình không có mạng: mỗi lần nó chỉ nhìn một phím đàn và một bước.",
    ),
    "most frequent digit": Words(
        "A guess without a network: always the digit that occurs most often.",
        "Đoán không cần mạng: luôn là chữ số hay gặp nhất.",
    ),
    "epoch": _EPOCH,
    "cell": Words(
        "The equations of one step of a recurrent network, such as LSTM or GRU.",
        "Các công thức của một bước trong mạng hồi quy, như LSTM hay GRU.",
    ),
    "trial": Words(
        "One training of one cell, with one drawn width and learning rate.",
        "Một lần huấn luyện một tế bào, với kích thước và tốc độ học rút ngẫu nhiên.",
    ),
    "score": Words(
        "What the cells are compared by, on data that none of them has seen; the sentence above "
        "the table says whether less or more is better.",
        "Số dùng để so sánh các tế bào, trên dữ liệu chưa tế bào nào thấy; câu phía trên bảng nói "
        "thấp hay cao là tốt.",
    ),
    "holt-winters": Words(
        "Exponential smoothing of level, damped trend and season, whose weights are fitted to each "
        "series before the first forecast.",
        "San bằng mũ mức, xu hướng tắt dần và mùa vụ, với trọng số khớp với từng chuỗi trước dự "
        "báo đầu tiên.",
    ),
    "autoets": Words(
        "Exponential smoothing whose form (error, trend, season) is chosen for each series.",
        "San bằng mũ, với dạng (sai số, xu hướng, mùa) được chọn cho từng chuỗi.",
    ),
    "dotm": Words(
        "The Theta method whose parameters are fitted to each series and updated row by row.",
        "Phương pháp Theta có tham số khớp với từng chuỗi và cập nhật theo từng dòng.",
    ),
    "mean with theta": Words(
        "The mean of the network's forecast and that of the Theta method: means of unlike "
        "forecasts are often better than either.",
        "Trung bình của dự báo của mạng và của phương pháp Theta: trung bình của các dự báo khác "
        "nhau thường tốt hơn từng dự báo.",
    ),
    "time": Words("The last step of the forecast.", "Bước cuối của dự báo."),
    "forecast": Words(
        "The middle of what is to be expected: the truth is above it as often as below.",
        "Mức giữa của điều có thể xảy ra: giá trị thật cao hơn hay thấp hơn nó như nhau.",
    ),
    "from": Words("The lower end of the band.", "Đầu dưới của dải."),
    "to": Words("The upper end of the band.", "Đầu trên của dải."),
    "sum": Words(
        "All steps of the forecast together, as for an order.",
        "Tổng mọi bước của dự báo, như khi đặt hàng.",
    ),
    "sum from": Words(
        "The lower end of the band of the sum. It is not the sum of the lower ends: not all steps "
        "are low at once.",
        "Đầu dưới của dải của tổng. Nó không phải tổng các đầu dưới: không phải mọi bước đều thấp "
        "cùng lúc.",
    ),
    "sum to": Words("The upper end of the band of the sum.", "Đầu trên của dải của tổng."),
    "best baseline": Words(
        "The forecast without a network that did best on this series.",
        "Phương pháp không cần mạng tốt nhất trên chuỗi này.",
    ),
    "its mase": Words("The MASE of that baseline.", "MASE của phương pháp đó."),
    "forecasts": Words(
        "How many forecasts the scores are of.", "Điểm số tính trên bao nhiêu dự báo."
    ),
    "median": Words(
        "Half of the series lie below, half above.", "Một nửa số chuỗi thấp hơn, một nửa cao hơn."
    ),
    "lowest": Words("Of all series the least.", "Thấp nhất trong mọi chuỗi."),
    "highest": Words("Of all series the most.", "Cao nhất trong mọi chuỗi."),
    "95 % interval": _INTERVAL,
    "accuracy": Words(
        "The share of answers that are right; more is better.",
        "Tỷ lệ câu trả lời đúng; càng cao càng tốt.",
    ),
    "micro f1": Words(
        "Of all labels of all texts together, how many were found and how many of those that were "
        "said are right, as one number (the F1); a common label counts more than a rare one. More "
        "is better.",
        "Gộp mọi nhãn của mọi văn bản: tìm được bao nhiêu nhãn và bao nhiêu nhãn được gán là đúng, "
        "tính thành một số (F1); nhãn hay gặp có trọng số lớn hơn nhãn hiếm. Càng cao càng tốt.",
    ),
    "exact match": Words(
        "The share of texts of which all labels are right: none is missing, none is too much. More "
        "is better.",
        "Tỷ lệ văn bản được gán đúng mọi nhãn: không thiếu, không thừa. Càng cao càng tốt.",
    ),
    "hamming loss": Words(
        "Of all decisions whether a label holds, one for each text and label, the share that is "
        "wrong; less is better. Where labels are rare it is small whatever one does.",
        "Với mỗi văn bản và mỗi nhãn phải quyết định nhãn có đúng không: tỷ lệ quyết định sai. "
        "Càng thấp càng tốt; khi nhãn hiếm thì số này luôn nhỏ.",
    ),
    "threshold": Words(
        "The label is said where its probability is as large as this, or larger.",
        "Nhãn được gán khi xác suất của nó đạt mức này trở lên.",
    ),
    "most frequent labels": Words(
        "The same labels for every text: the most frequent ones of the training set.",
        "Luôn gán cùng những nhãn hay gặp nhất trong phần huấn luyện.",
    ),
    "regression f1": Words(
        "The F1 of the regression on the same label.", "F1 của phương pháp hồi quy trên nhãn ấy."
    ),
    "bleu": Words(
        "How many runs of one to four words of a translation stand in the human one, too; what is "
        "too short loses. From 0 to 100, more is better; compare it only on the same test set.",
        "Bao nhiêu cụm một đến bốn từ của bản dịch cũng có trong bản dịch của người, từ 0 đến "
        "100; câu quá ngắn bị trừ điểm. Chỉ so sánh được trên cùng cặp ngôn ngữ và cùng phần kiểm "
        "tra. Càng cao càng tốt.",
    ),
    "chrf": Words(
        "As BLEU, of runs of one to six characters: a word that is nearly right counts in part; "
        "from 0 to 100, more is better.",
        "Như BLEU nhưng tính trên cụm một đến sáu ký tự, nên một từ gần đúng cũng được tính một "
        "phần; từ 0 đến 100, càng cao càng tốt.",
    ),
    "exact": Words(
        "The share of answers that are right to the last letter.",
        "Tỷ lệ câu trả lời đúng đến từng chữ.",
    ),
    "true neighbours found": Words(
        "Of a word that really stands near another, and one drawn by chance: how often the vectors "
        "give the true one the higher score. 50 % is guessing; more is better. It is called AUC.",
        "Giữa một từ thật sự đứng gần và một từ rút ngẫu nhiên: véc-tơ cho từ thật điểm cao hơn "
        "bao nhiêu phần trăm số lần. 50 % là đoán mò; càng cao càng tốt. Còn gọi là AUC.",
    ),
    "nats per pair": Words(
        "How surprised the vectors are by a true neighbour and its noise words, on average; less "
        "is better. Of CBOW it is not told, which reads several neighbours together.",
        "Trung bình véc-tơ bất ngờ đến đâu trước một từ lân cận thật và các từ nhiễu; càng thấp "
        "càng tốt. CBOW không có số này vì nó đọc nhiều từ lân cận cùng lúc.",
    ),
    "skip-gram": Words(
        "Vectors that learn to tell, from a word, which words stand around it.",
        "Véc-tơ học cách đoán, từ một từ, những từ nào đứng quanh nó.",
    ),
    "cbow": Words(
        "Vectors that learn to tell a word from the mean of those around it.",
        "Véc-tơ học cách đoán một từ, từ trung bình của các từ quanh nó.",
    ),
    "pmi + svd": Words(
        "Vectors by counting, without a network: how much oftener than by chance words stand near "
        "each other, in as few numbers as the vectors have (a singular value decomposition).",
        "Véc-tơ tính bằng cách đếm, không có mạng: các từ đứng gần nhau nhiều hơn ngẫu nhiên bao "
        "nhiêu, rút gọn còn đúng số chiều của véc-tơ (phân tích giá trị kỳ dị).",
    ),
    "word counts": Words(
        "Knows only how frequent each word is, and nothing of its neighbours.",
        "Chỉ biết mỗi từ hay gặp đến đâu, không biết gì về từ lân cận.",
    ),
    "wrong words": Words(
        "The share of words of which no listed pronunciation was written; less is better. It is "
        "called WER.",
        "Tỷ lệ từ mà mạng không viết đúng cách phát âm nào trong từ điển; càng thấp càng tốt. Còn "
        "gọi là WER.",
    ),
    "wrong phonemes": Words(
        "How many sounds must be put in, left out or replaced to make a right pronunciation, of a "
        "hundred; less is better. It is called PER.",
        "Phải thêm, bớt hay thay bao nhiêu âm để thành cách phát âm đúng, tính trên một trăm âm; "
        "càng thấp càng tốt. Còn gọi là PER.",
    ),
    "copy of the source": Words(
        "The source, left as it is: it shows how much is the same on both sides.",
        "Giữ nguyên câu nguồn: cho thấy hai bên vốn đã giống nhau bao nhiêu.",
    ),
    "nearest training source": Words(
        "What the most similar training source becomes: an answer that is found, and not written.",
        "Lấy kết quả của câu nguồn giống nhất trong phần huấn luyện: tìm sẵn chứ không viết.",
    ),
    "word dictionary": Words(
        "Each word by its likeliest translation, in the order of the source, by a dictionary that "
        "is learned from the training pairs.",
        "Dịch từng từ theo nghĩa hay gặp nhất, giữ thứ tự câu nguồn, bằng từ điển học được từ các "
        "cặp huấn luyện.",
    ),
    "found": Words(
        "How often the true reply is found among ten, of which nine were drawn from other "
        "dialogues of the test set; more is better.",
        "Tỷ lệ nhận ra câu đáp thật trong mười câu, chín câu kia rút từ các hội thoại khác của "
        "phần kiểm tra; càng cao càng tốt.",
    ),
    "distinct-1": Words(
        "How many words of all replies are different, by how many there are; the less, the more "
        "the replies are the same.",
        "Tỷ lệ từ khác nhau trong mọi câu đáp; càng thấp, các câu đáp càng giống nhau.",
    ),
    "distinct-2": Words(
        "As distinct-1, of pairs of neighbouring words.",
        "Như distinct-1, tính trên cặp từ liền nhau.",
    ),
    "most frequent": Words(
        "The share of the most frequent reply; near 100 %, the same is replied to everything.",
        "Tỷ lệ của câu đáp hay gặp nhất; gần 100 % nghĩa là lời nào cũng đáp như nhau.",
    ),
    "retrieval": Words(
        "Replies with what people replied to the most similar turns of the training set, and "
        "finds the reply with the words most like those said (TF-IDF).",
        "Đáp bằng câu mà người đã đáp cho đoạn giống nhất trong phần huấn luyện, và nhận ra câu có "
        "từ ngữ giống lời đã nói nhất (TF-IDF).",
    ),
    "kneser-ney": Words(
        "Counts which tokens follow each other in replies, up to five in a row, and knows nothing "
        "of what was said.",
        "Đếm các đơn vị đứng liền nhau trong câu đáp, tối đa năm đơn vị, và không biết lời đã nói.",
    ),
    "most frequent reply": Words(
        "What is replied most often in the training set, to everything.",
        "Lời nào cũng đáp bằng câu hay gặp nhất trong phần huấn luyện.",
    ),
    "network alone": Words(
        "The network without the words that were said.",
        "Mạng khi không trộn với các từ vừa nói.",
    ),
    "with counts": Words(
        "The network and the words that were said, mixed with Kneser-Ney's model of replies as the "
        "validation set finds right. Nothing is written so.",
        "Mạng và các từ vừa nói, trộn thêm mô hình đếm Kneser-Ney theo tỷ lệ mà phần kiểm định cho "
        "là đúng. Không dùng để viết.",
    ),
    "letter by letter": Words(
        "Each letter by the sound that it stands for most often in the training words.",
        "Mỗi chữ cái được đọc bằng âm hay gặp nhất của nó trong phần huấn luyện.",
    ),
    "beam width": Words(
        "How many unfinished answers the search goes on with at each step; 1 takes the likeliest "
        "token each time.",
        "Ở mỗi bước, việc tìm kiếm giữ lại bao nhiêu câu trả lời dở dang; 1 là luôn chọn đơn vị có "
        "xác suất cao nhất.",
    ),
    "cut off": Words(
        "The share of answers that did not end and were cut off.",
        "Tỷ lệ câu trả lời không có điểm kết và bị cắt.",
    ),
    "repeats itself": Words(
        "The share of answers that hold the same four tokens twice, where no right one does.",
        "Tỷ lệ câu trả lời chứa cùng một chuỗi bốn đơn vị hai lần, trong khi câu đúng thì không.",
    ),
    "macro f1": Words(
        "The mean of the F1 of all classes, so that a rare class counts as much as a common one; 1 "
        "is perfect, more is better.",
        "Trung bình F1 của mọi lớp, nên lớp hiếm cũng nặng như lớp hay gặp; 1 là hoàn hảo, càng "
        "cao càng tốt.",
    ),
    "log loss": Words(
        "How surprised the model is by the true class, on average, in nats; to be sure and wrong "
        "costs most. Less is better.",
        "Trung bình mô hình bất ngờ đến đâu trước lớp đúng, tính bằng nat; chắc chắn mà sai thì "
        "mất nhiều nhất. Càng thấp càng tốt.",
    ),
    "calibration error": Words(
        "How far the probability that the model says is from how often it is right; 0 means that "
        "80 % sure is right 80 times of 100. Less is better.",
        "Xác suất mà mô hình nói lệch bao nhiêu so với tỷ lệ đúng thật; 0 nghĩa là chắc 80 % thì "
        "đúng 80 lần trên 100. Càng thấp càng tốt.",
    ),
    "precision": Words(
        "Of what was taken for the class, the share that belongs to it.",
        "Trong những mục mạng cho là thuộc lớp này, tỷ lệ thuộc thật.",
    ),
    "recall": Words(
        "Of what belongs to the class, the share that was found.",
        "Trong những mục thuộc lớp này, tỷ lệ mạng tìm ra.",
    ),
    "f1": Words(
        "One number for precision and recall, high only if both are; 1 is perfect.",
        "Một con số gộp độ chính xác và độ bao phủ, chỉ cao khi cả hai cùng cao; 1 là hoàn hảo.",
    ),
    "most frequent class": Words(
        "The simplest answer: always the most frequent class of the training set.",
        "Câu trả lời đơn giản nhất: luôn là lớp hay gặp nhất trong phần huấn luyện.",
    ),
    "word pairs regression": Words(
        "A logistic regression that counts words and pairs of neighbouring words (tf-idf), and "
        "knows nothing of their order otherwise.",
        "Hồi quy logistic đếm từ và cặp từ đứng cạnh nhau (tf-idf), ngoài ra không biết gì về thứ "
        "tự.",
    ),
    "character triples regression": Words(
        "A logistic regression that counts characters, pairs and triples of neighbouring ones "
        "(tf-idf).",
        "Hồi quy logistic đếm ký tự, cặp và bộ ba ký tự đứng cạnh nhau (tf-idf).",
    ),
    "summary regression": Words(
        "A logistic regression that sees four numbers of each column: mean, standard deviation, "
        "first and last value.",
        "Hồi quy logistic chỉ thấy bốn con số của mỗi cột: trung bình, độ lệch chuẩn, giá trị đầu "
        "và cuối.",
    ),
    "nearest class mean": Words(
        "Takes the class whose average series is nearest, by the same four numbers of each column.",
        "Chọn lớp có chuỗi trung bình gần nhất, theo cùng bốn con số của mỗi cột.",
    ),
    "span f1": Words(
        "Of spans of words, as names: one number for the share of those said that are right, and "
        "of those there are that were found. A span is right if its type and both of its ends are.",
        "Tính trên các cụm từ, như tên riêng: một con số gộp tỷ lệ cụm được gán là đúng và tỷ lệ "
        "cụm có thật được tìm ra. Một cụm đúng khi đúng loại và đúng cả hai đầu.",
    ),
    "seen words": Words(
        "The share of right tags among words that the training set holds.",
        "Tỷ lệ nhãn đúng của những từ có trong phần huấn luyện.",
    ),
    "unseen words": Words(
        "The share of right tags among words that the training set does not hold.",
        "Tỷ lệ nhãn đúng của những từ không có trong phần huấn luyện.",
    ),
    "whole sentences": Words(
        "The share of sentences in which every tag is right.",
        "Tỷ lệ câu có mọi nhãn đều đúng.",
    ),
    "intent": Words(
        "The share of sentences that were understood: what each is about is right.",
        "Tỷ lệ câu được hiểu đúng: đúng điều mà câu nói tới.",
    ),
    "feature crf": Words(
        "A tagger without a network: a conditional random field (CRF) on features that people have "
        "thought of, as neighbours and ends of words. It is hard to beat with few sentences.",
        "Bộ gán nhãn không có mạng: trường ngẫu nhiên có điều kiện (CRF) trên các đặc trưng do "
        "người nghĩ ra, như từ đứng cạnh và phần cuối từ. Khi ít câu thì khó vượt được.",
    ),
    "most frequent tag of a word": Words(
        "The simplest answer: the tag that a word mostly has in the training set; of unseen words "
        "the one of words that look like them.",
        "Câu trả lời đơn giản nhất: nhãn mà từ hay mang nhất trong phần huấn luyện; với từ chưa "
        "gặp là nhãn của những từ trông giống nó.",
    ),
    "unknown words": Words(
        "How many words of a text the training set does not hold.",
        "Bao nhiêu từ của văn bản không có trong phần huấn luyện.",
    ),
    "hidden": _HIDDEN,
    "hidden units": _HIDDEN,
    "rate": _RATE,
    "learning rate": _RATE,
    "parameters": _PARAMETERS,
    "s": _SECONDS,
}

# A band of any level: "80 % band" in a legend, "in 80 % band" in a table.
_OF_BAND = re.compile(r"(in )?(\d+) % band")


def key_of(word: str) -> str:
    """Return the key of a word in ``EXPLAINED``: in small letters, a band without its level."""
    return _OF_BAND.sub(r"\1% band", word.lower())


# What stands behind the name of a cell, where tables say more of a network.
_ENDINGS = {" with CRF": " với CRF", " + linear": " + tuyến tính", " (cell)": " (tế bào)"}


def name_of(word: str) -> Words:
    """Return a word of tables and charts in both languages; as it is where the glossary lacks
    it."""
    ending = next((each for each in _ENDINGS if word.endswith(each)), None)
    if ending is not None:
        return Words(word, name_of(word.removesuffix(ending)).vi + _ENDINGS[ending])
    band = _OF_BAND.fullmatch(word)
    if band:
        return Words(word, f"{'trong ' if band[1] else ''}dải {band[2]} %")
    return Words(word, VIETNAMESE.get(word, word)) if word else same("")
