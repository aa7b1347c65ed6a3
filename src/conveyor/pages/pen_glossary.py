"""Explanations of the words of reports on handwriting, see ``glossary.py``."""

from conveyor.pages.words import Words

EXPLAINED = {
    "nats per movement": Words(
        "How surprised the network is by where the pen goes next and whether it is lifted, on "
        "average. It is about densities, so it may be below 0; less is better.",
        "Mạng bất ngờ đến đâu trước bước bút kế tiếp, tính trung bình. Vì tính theo mật độ xác "
        "suất nên số này có thể âm; càng thấp càng tốt.",
    ),
    "one gaussian": Words(
        "Every movement is drawn from the same normal distribution, wherever the pen is.",
        "Mọi bước bút đều rút từ cùng một phân phối chuẩn, bất kể bút đang ở đâu.",
    ),
    "linear": Words(
        "A straight line through the last three movements, with the spread that is left.",
        "Hồi quy tuyến tính theo ba bước bút gần nhất, cộng độ tản còn lại.",
    ),
    "network without memory": Words(
        "A network with the same mixture of Gaussians that sees the last three movements, "
        "and nothing before.",
        "Mạng có cùng kiểu hỗn hợp Gauss nhưng chỉ thấy ba bước bút gần nhất, không nhớ gì trước "
        "đó.",
    ),
    "movements": Words(
        "Steps of the pen from one point to the next.",
        "Các bước của bút từ điểm này sang điểm kế tiếp.",
    ),
}
