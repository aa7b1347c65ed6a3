"""How what the page shows was measured, in words."""

from conveyor.inside.measures import BACK, DRAWS, MOST_CONTRIBUTING
from conveyor.pages.words import Words, number_text


def method_notes(total: int, shown: int) -> list[Words]:
    """Return how it was measured, and what was left out.

    Args:
        total: how many steps the sequence has.
        shown: how many of them are shown.
    """
    notes = [
        Words(
            "What is left of a gradient is the norm of the derivative of the output of the chosen "
            "step by the memory of an earlier step, as a share of that by its own: the root of the "
            f"mean of squares over {DRAWS} random directions (Hutchinson 1990), and of the last "
            "step over all directions, which is exact. The memory is the cell state where a cell "
            "has one, or else its state.",
            "Phần gradient còn lại là chuẩn của đạo hàm của đầu ra ở bước đã chọn theo bộ nhớ ở "
            "một bước trước đó, chia cho chuẩn theo bộ nhớ ở chính bước đã chọn: căn bậc hai của "
            f"trung bình bình phương trên {DRAWS} hướng ngẫu nhiên (Hutchinson 1990), riêng bước "
            "cuối là trên mọi hướng, tức là chính xác. Bộ nhớ là trạng thái tế bào; nếu cell không "
            "có thì là trạng thái ẩn.",
        ),
        Words(
            "How much is carried over of a unit is the derivative of its new value by its old one, "
            "unit by unit: the forget gate of an LSTM. 1/e of it, 37 %, is left after -1 / log of "
            "the geometric mean (Tallec & Ollivier 2018).",
            "Phần được giữ lại của một đơn vị là đạo hàm của giá trị mới theo giá trị cũ của nó, "
            "tức là cổng quên của LSTM. Số bước để còn 1/e (khoảng 37 %) là -1 / log của trung "
            "bình nhân (Tallec & Ollivier 2018).",
        ),
        Words(
            "Contributions are integrated gradients from an input of zeros (Sundararajan, Taly & "
            "Yan 2017): together they are the answer less the answer to zeros. So a step that "
            "lowers the answer may be one that the network reads rightly.",
            "Phần đóng góp là gradient tích phân, tính từ đầu vào toàn số 0 (Sundararajan, Taly & "
            "Yan 2017): tổng của chúng bằng câu trả lời trừ đi câu trả lời khi đầu vào toàn 0. Vì "
            "vậy một bước làm giảm câu trả lời vẫn có thể là bước mà mạng đọc đúng.",
        ),
    ]
    every, back, most = (number_text(count, ",d") for count in (total, BACK, MOST_CONTRIBUTING))
    if total > shown:
        notes.append(
            Words(
                f"Of {every.en} steps {shown} are shown, evenly apart; contributions of the steps "
                "between are added to that of the one before.",
                f"Hiển thị {shown} trong số {every.vi} bước, cách đều nhau; phần đóng góp của các "
                "bước ở giữa được cộng vào bước đứng trước.",
            )
        )
    if total > BACK:
        notes.append(
            Words(
                f"Gradients are followed {back.en} steps back.",
                f"Gradient được theo dõi lùi lại {back.vi} bước.",
            )
        )
    if total > MOST_CONTRIBUTING:
        notes.append(
            Words(
                f"Contributions are not worked out of more than {most.en} steps.",
                f"Không tính phần đóng góp khi chuỗi dài hơn {most.vi} bước.",
            )
        )
    return notes
