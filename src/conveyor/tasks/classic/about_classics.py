"""What the classic tasks are, in two sentences each."""

from conveyor.pages.words import Words

ABOUT = {
    "adding": Words(
        "Each step has a number and a marker, and two steps are marked. After the last step the "
        "answer is the sum of the two marked numbers, so they must be remembered among all others.",
        "Mỗi bước có một số và một dấu, trong đó có hai bước được đánh dấu. Sau bước cuối phải trả "
        "lời tổng của hai số được đánh dấu, nên phải nhớ chúng giữa mọi số khác.",
    ),
    "multiplication": Words(
        "Each step has a number and a marker, and two steps are marked. After the last step the "
        "answer is the product of the two marked numbers.",
        "Mỗi bước có một số và một dấu, trong đó có hai bước được đánh dấu. Sau bước cuối phải trả "
        "lời tích của hai số được đánh dấu.",
    ),
    "copying": Words(
        "Ten symbols are followed by many blanks and a delimiter. After it the ten symbols must be "
        "repeated in the same order.",
        "Mười ký hiệu, rồi nhiều bước trống và một dấu phân cách. Sau dấu ấy phải lặp lại mười ký "
        "hiệu theo đúng thứ tự.",
    ),
    "temporal_order": Words(
        "Two symbols, X or Y, are far apart among about a hundred others. After the last step the "
        "answer is which of them came in which order: XX, XY, YX or YY.",
        "Hai ký hiệu, X hoặc Y, nằm cách xa nhau giữa khoảng một trăm ký hiệu khác. Sau bước cuối "
        "phải trả lời chúng đến theo thứ tự nào: XX, XY, YX hay YY.",
    ),
    "two_sequence": Words(
        "The first steps show the class, and all later ones are noise. The class must be "
        "remembered until the last step.",
        "Những bước đầu cho biết lớp, mọi bước sau là nhiễu. Phải nhớ lớp ấy đến bước cuối.",
    ),
    "reber": Words(
        "Strings of the embedded Reber grammar, one symbol a step. At each step the answer is "
        "which symbols may follow; the last but one repeats the second symbol of the string.",
        "Các chuỗi của văn phạm Reber lồng nhau, mỗi bước một ký hiệu. Ở mỗi bước phải trả lời ký "
        "hiệu nào có thể theo sau; ký hiệu áp chót lặp lại ký hiệu thứ hai của chuỗi.",
    ),
    "counting": Words(
        "Strings of n letters a and then n letters b. At each step the answer is which symbols may "
        "follow, so after the first b the network must know how many a it has read.",
        "Các chuỗi gồm n chữ a rồi n chữ b. Ở mỗi bước phải trả lời ký hiệu nào có thể theo sau, "
        "nên từ chữ b đầu tiên mạng phải biết đã đọc bao nhiêu chữ a.",
    ),
    "measure_spikes": Words(
        "Spikes come at irregular times. At each spike the answer is how long the last pause was.",
        "Các xung đến không đều. Ở mỗi xung phải trả lời khoảng nghỉ vừa rồi dài bao nhiêu.",
    ),
    "generate_spikes": Words(
        "At each spike the input says how long the next pause is. The network must give the next "
        "spike at that time.",
        "Ở mỗi xung, đầu vào cho biết khoảng nghỉ tiếp theo dài bao nhiêu. Mạng phải phát xung kế "
        "tiếp đúng lúc.",
    ),
    "periodic": Words(
        "A single sequence whose input is always 1. The network must produce a periodic function "
        "of time from its state alone.",
        "Một chuỗi duy nhất có đầu vào luôn bằng 1. Mạng phải tự tạo ra một hàm tuần hoàn theo "
        "thời gian chỉ từ trạng thái của mình.",
    ),
    "sines": Words(
        "A single sequence whose input is always 1. The network must produce a sum of sines from "
        "its state alone.",
        "Một chuỗi duy nhất có đầu vào luôn bằng 1. Mạng phải tự tạo ra tổng của vài hình sin chỉ "
        "từ trạng thái của mình.",
    ),
}
