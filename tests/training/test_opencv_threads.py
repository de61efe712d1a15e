import cv2
import pytest

from goldfold.training.opencv_threads import one_opencv_thread


@pytest.fixture(autouse=True)
def three_threads():
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    yield
    cv2.setNumThreads(before)


def test_the_number_is_put_back_after_the_last_block_that_overlaps():
    first, second = one_opencv_thread(), one_opencv_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert cv2.getNumThreads() == 1
    second.__exit__(None, None, None)
    assert cv2.getNumThreads() == 3


def test_it_is_put_back_after_an_error():
    with pytest.raises(ZeroDivisionError), one_opencv_thread():
        _ = 1 / 0
    assert cv2.getNumThreads() == 3
