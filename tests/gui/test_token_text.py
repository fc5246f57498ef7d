"""The words under a picture spell a token as the picture does."""

import pytest

from engine import caption
from gui.plots import tokens

ODD = [
    "", " ", "   ", " Mary", "a ", " a b ", "\n", " \n", "\t x\r", "\n ", "\x00", "é", "\u202e",
]  # fmt: skip


@pytest.mark.parametrize("token", ODD)
def test_a_caption_spells_tokens_as_the_picture_does(token: str) -> None:
    assert caption.token_text(token) == tokens.token_text(token)
