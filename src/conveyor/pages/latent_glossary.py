"""Explanations of the words of reports on sequences with latent values, see ``glossary.py``."""

from conveyor.pages.words import Words

EXPLAINED = {
    "nats per picture": Words(
        "Minus the logarithm of the probability that the network gives to exactly these pixels, on "
        "average; less is better. With latent values it is an estimate, on average too high.",
        "Trừ logarit của xác suất mà mạng gán cho đúng các điểm ảnh đó, tính trung bình; càng thấp "
        "càng tốt. Khi có giá trị ẩn, đây là ước lượng, về trung bình cao hơn số thật.",
    ),
    "bound": Words(
        "What the nats are at most, in expectation (minus the evidence lower bound): what the "
        "latent values leave to be surprised by, and the divergence.",
        "Cận trên của số nat, về trung bình, với một lần rút giá trị ẩn cho mỗi chuỗi (ELBO đổi "
        "dấu): phần bất ngờ còn lại cộng với độ phân kỳ.",
    ),
    "divergence": Words(
        "How much the latent values say about a step that could not be known before (the KL "
        "divergence from their prior), in nats; 0 where they are of no use.",
        "Giá trị ẩn nói được bao nhiêu về một bước mà trước đó chưa thể biết (phân kỳ KL so với "
        "tiên nghiệm), tính bằng nat; bằng 0 khi giá trị ẩn vô dụng.",
    ),
    "given the latent values": Words(
        "What is left to be surprised by in a step once its latent values are known. By itself it "
        "is no likelihood: the latent values were recognised by looking at that step.",
        "Phần bất ngờ còn lại ở một bước khi đã biết giá trị ẩn. Riêng số này không phải khả năng "
        "(likelihood): giá trị ẩn được nhận biết nhờ nhìn chính bước đó.",
    ),
    "network without latent values": Words(
        "A recurrent network with as many units and the same output, fitted on the same data, that "
        "has no latent values. Its nats are exact.",
        "Mạng hồi quy có cùng số đơn vị và cùng kiểu đầu ra, huấn luyện trên cùng dữ liệu nhưng "
        "không có giá trị ẩn. Số nat của nó là chính xác.",
    ),
    "estimate": Words(
        "What many draws of the latent values, each weighed by how likely it is, say of the nats "
        "(importance weights). It lies between the bound and the true number, in expectation.",
        "Số nat ước lượng từ nhiều lần rút giá trị ẩn, mỗi lần có trọng số theo khả năng của nó "
        "(importance sampling). Về trung bình, nó nằm giữa cận trên và số thật.",
    ),
    "variational autoencoder": Words(
        "Draws a whole picture at once from 50 latent values (Kingma & Welling 2014), with two "
        "layers of 200 units on each side; fitted on the same pictures.",
        "Vẽ cả ảnh một lần từ 50 giá trị ẩn (Kingma & Welling 2014), mỗi phía hai lớp 200 đơn vị; "
        "huấn luyện trên cùng những ảnh đó.",
    ),
    "glimpse": Words(
        "A step in which a picture is drawn: the network looks at the picture and at what its "
        "canvas lacks, and adds to the canvas.",
        "Một bước vẽ ảnh: mạng nhìn ảnh và phần khung vẽ còn thiếu, rồi vẽ thêm lên khung.",
    ),
    "any row": Words(
        "Rows drawn at random from the training set, whatever came before.",
        "Các hàng rút ngẫu nhiên từ phần huấn luyện, bất kể trước đó có gì.",
    ),
    "mean of each pixel": Words(
        "Each pixel is bright as often as in the training set, whatever the others are.",
        "Mỗi điểm ảnh sáng với tần suất như trong phần huấn luyện, bất kể các điểm khác.",
    ),
}
