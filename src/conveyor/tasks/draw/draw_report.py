"""The sections of the report on DRAW."""

from collections.abc import Iterable, Sequence

import plotly.graph_objects as go
import torch
from torch import Tensor

from conveyor.networks.draw import Glimpses
from conveyor.pages.frame import OURS, chart, count_axis, line_mode, paragraph, table
from conveyor.pages.pixel_image import colour_film, image_of
from conveyor.pages.words import Words, number_text
from conveyor.tasks.draw.canvas_film import durations, frames_of
from conveyor.tasks.draw.canvas_strip import canvas_strip, framed_picture
from conveyor.tasks.draw.drawer import Drawer
from conveyor.tasks.draw.nearest_known import nearest_known
from conveyor.tasks.draw.picture_model import PictureModel
from conveyor.tasks.latent.scored_sequences import ScoredSequences
from conveyor.tasks.results import Section

# Pictures that are drawn, those whose canvas is shown over time, and the hardest ones.
_DRAWN, _STRIPS, _HARDEST = 16, 4, 8
# A glimpse of fewer nats draws nothing that depends on the picture.
_IDLE = 0.1
_SEED = 1


def sections(
    scored: ScoredSequences, beside: ScoredSequences | None, known: Sequence[Tensor] | None
) -> Iterable[Section]:
    """Yield the sections: what is drawn, how, what each glimpse says, and what was hard.

    Args:
        scored: the network on the test set.
        beside: the autoencoder; None for none.
        known: pictures that were learned from; None where they are not known.
    """
    yield Section(Words("Samples", "Mạng vẽ ra gì"), _samples(scored, beside, known))
    yield Section(Words("The canvas over time", "Mạng vẽ như thế nào"), _strips(scored))
    yield Section(Words("Divergence by glimpse", "Mỗi lần nhìn cho biết gì"), _glimpses(scored))
    yield Section(Words("Hardest pictures", "Những ảnh khó nhất"), _hardest(scored))


def _network(scored: ScoredSequences) -> Drawer:
    network: Drawer = scored.network  # type: ignore[assignment]
    return network


def _figures(title: Words, figures: Iterable[str]) -> str:
    return f'<h3>{title.html()}</h3><div class="canvases">{"".join(figures)}</div>'


def _pair(first: str, second: str) -> str:
    return f'<div class="pair">{first}{second}</div>'


def _seen(network: PictureModel, pictures: Sequence[Tensor]) -> Glimpses:
    """Return what a network recognises in pictures, with the likeliest latent values."""
    x = torch.stack([*pictures]).float()
    glimpses, latent = network.latent_sizes
    with torch.no_grad():
        return network.explained(x, torch.zeros(glimpses, len(x), latent))


def _samples(
    scored: ScoredSequences, beside: ScoredSequences | None, known: Sequence[Tensor] | None
) -> str:
    network = _network(scored)
    drawing = network.sequences.sample(_DRAWN, seed=_SEED)
    parts = [
        paragraph(
            Words(
                "Random samples, not selected. The shade of a pixel is the probability that it "
                "is bright.",
                "Vẽ từ các giá trị ẩn ngẫu nhiên, không nhìn ảnh nào; độ sáng của điểm ảnh là xác "
                "suất nó sáng. Không chọn lọc mẫu nào.",
            )
        ),
        _film(network, drawing.canvases.sigmoid()),
    ]
    if known is None:
        return "".join(parts)
    numbers, apart = nearest_known(drawing.pictures, known)
    pairs = [
        _pair(
            framed_picture(drawn, f"drawn {place}"),
            framed_picture(
                known[number].float(),
                f"nearest to drawn {place}",
                label=number_text(far, ".2f").html(),
            ),
        )
        for place, (drawn, number, far) in enumerate(
            zip(drawing.pictures, numbers, apart, strict=True), 1
        )
    ]
    # How far pictures of the test set are from the training set, which nobody learned by heart.
    test = torch.stack(scored.examples.sequences[: 4 * _DRAWN]).float()
    usual = torch.tensor(nearest_known(test, known)[1]).median()
    near, far = (
        number_text(float(value), ".2f") for value in (torch.tensor(apart).median(), usual)
    )
    parts.append(
        paragraph(
            Words(
                "On the right of each sample is the nearest picture of the training set, with "
                "the distance (the root of the mean squared difference of pixels). If both were "
                "equal, the network would have memorised pictures. The median distance is "
                f"{near.en}. For pictures of the test set it is {far.en}, because their pixels "
                "are 0 or 1 and not probabilities.",
                "Bên phải mỗi ảnh là ảnh huấn luyện gần nhất, kèm khoảng cách (căn bậc hai của "
                "trung bình bình phương chênh lệch điểm ảnh). Nếu trùng nhau, mạng đã học thuộc "
                f"ảnh. Trung vị là {near.vi}; với ảnh kiểm tra là {far.vi}, vì điểm ảnh của chúng "
                "là 0 hoặc 1 chứ không phải xác suất.",
            )
        )
    )
    parts.append(_figures(Words("sample, and nearest picture", "ảnh vẽ và ảnh gần nhất"), pairs))
    if beside is not None:
        model: PictureModel = beside.network  # type: ignore[assignment]
        others = model.sample(_DRAWN, None, seed=_SEED)
        parts.append(
            _figures(
                Words("samples of the autoencoder", "do bộ tự mã hóa vẽ"),
                [framed_picture(light, "drawn by the autoencoder") for light in others],
            )
        )
    true = [framed_picture(x.float(), "true") for x in scored.examples.sequences[:_DRAWN]]
    parts.append(_figures(Words("pictures of the test set", "ảnh của phần kiểm tra"), true))
    return "".join(parts)


def _film(network: Drawer, canvases: Tensor) -> str:
    frames = frames_of(network.kind, canvases)
    film = colour_film(frames, durations(frames))
    return image_of(film, "pictures while they are drawn", "film")


def _strips(scored: ScoredSequences) -> str:
    network = _network(scored)
    test = scored.examples.sequences[:_STRIPS]
    drawing = _seen(network, test).drawing
    if network.sequences.write is None:
        about = Words(
            "The canvas after each glimpse. This network has no windows: it reads the whole "
            "picture and writes on the whole canvas.",
            "Khung vẽ sau mỗi lần nhìn. Mạng này không có cửa sổ: nó nhìn toàn bộ ảnh và vẽ lên "
            "toàn bộ khung.",
        )
        legend = ""
    else:
        about = Words(
            "The canvas after each glimpse, with its windows. A window is a grid of filters. The "
            "square shows the extent of the grid; filters that are wider than their spacing "
            "reach beyond it.",
            "Khung vẽ sau mỗi lần nhìn, cùng các cửa sổ của lần đó. Cửa sổ là một lưới bộ lọc; ô "
            "vuông cho biết lưới rộng bao nhiêu, còn bộ lọc rộng hơn khoảng cách giữa chúng thì "
            "nhìn xa hơn ô.",
        )
        looks = Words("read window", "chỗ nhìn").html()
        draws = Words("write window", "chỗ vẽ").html()
        legend = (
            f'<p class="legend"><span class="looks"></span> {looks} '
            f'<span class="draws"></span> {draws}</p>'
        )
    parts = [paragraph(about), legend]
    for number, picture in enumerate(test):
        strip = canvas_strip(
            drawing.canvases,
            f"canvas of test picture {number + 1}",
            drawing.read,
            drawing.written,
            number=number,
        )
        true = framed_picture(
            picture.float(), f"test picture {number + 1}", label=Words("true", "ảnh thật").html()
        )
        title = Words(f"picture {number + 1} of the test set", f"ảnh kiểm tra {number + 1}")
        parts.append(_figures(title, [true, strip]))
    free = network.sequences.sample(_STRIPS, seed=_SEED)
    for number in range(_STRIPS):
        strip = canvas_strip(
            free.canvases, f"canvas of drawn {number + 1}", (), free.written, number=number
        )
        title = Words(f"sample {number + 1}", f"ảnh vẽ {number + 1}, không nhìn ảnh nào")
        parts.append(_figures(title, [strip]))
    return "".join(parts)


def _glimpses(scored: ScoredSequences) -> str:
    divergence = scored.divergence_by_step
    count = len(divergence)
    most = int(divergence.argmax()) + 1
    nats = number_text(float(divergence.max()), ".2f")
    idle = int((divergence < _IDLE).sum())
    said = Words(
        f"Glimpse {most} has the largest divergence: {nats.en} nats.",
        f"Giá trị ẩn ở lần nhìn {most} cho biết nhiều nhất về ảnh: {nats.vi} nat.",
    )
    if idle:
        advice = Words(
            f"{idle} of {count} glimpses have a divergence below {_IDLE:g} nats: fewer would "
            "suffice (--glimpses).",
            f"{idle} trên {count} lần nhìn hầu như không nói gì (dưới {number_text(_IDLE).vi} "
            "nat): có thể giảm số lần nhìn (--glimpses).",
        )
    else:
        advice = Words(
            "Every glimpse is used, so more of them may lower the nats (--glimpses).",
            "Không lần nhìn nào thừa: tăng số lần nhìn có thể giúp ích (--glimpses).",
        )
    left = scored.bound - scored.divergence
    rows = [
        (["given the latent values", f"{left:.2f}"], False),
        (["divergence", f"{scored.divergence:.2f}"], False),
        (["bound", f"{scored.bound:.2f}"], False),
        (["estimate", f"{scored.estimate:.2f}"], True),
    ]
    figure = go.Figure()
    figure.add_scatter(
        x=list(range(1, count + 1)),
        y=divergence.tolist(),
        name="divergence",
        mode=line_mode(count),
        line_color=OURS,
    )
    count_axis(figure, "glimpse", count)
    figure.update_yaxes(title="nats", hoverformat=".3f", rangemode="tozero")
    return (
        paragraph(said)
        + paragraph(advice)
        + table(["", "nats per picture"], rows)
        + chart(figure, "divergence")
    )


def _hardest(scored: ScoredSequences) -> str:
    network = _network(scored)
    order = torch.tensor(scored.nats).argsort(descending=True, stable=True)[:_HARDEST].tolist()
    pictures = [scored.examples.sequences[number] for number in order]
    drawn = _seen(network, pictures).drawing.pictures
    pairs = []
    for number, picture, light in zip(order, pictures, drawn, strict=True):
        nats = number_text(scored.nats[number], ".0f")
        label = Words(f"{nats.en} nats", f"{nats.vi} nat").html()
        what = f"test picture {number + 1}"
        pairs.append(
            _pair(
                framed_picture(picture.float(), what, label=label),
                framed_picture(light, f"{what}, drawn anew"),
            )
        )
    about = Words(
        "The least likely pictures of the test set, and their reconstructions.",
        "Những ảnh kiểm tra mà mạng cho là khó xảy ra nhất, và hình mạng vẽ lại khi nhìn chúng.",
    )
    title = Words("true, and reconstructed", "ảnh thật và ảnh vẽ lại")
    return paragraph(about) + _figures(title, pairs)
