"""The form for choosing an image: what is in it, what is selected, and that nothing leaves its place."""

from __future__ import annotations

import string
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncdockerspawner.errors import BadOption, ImageNotAllowed
from asyncdockerspawner.images.allowed import MOST_CHARACTERS, chosen
from asyncdockerspawner.images.options_form import render

SELECT = ["div", "label", "select"]
TEXT = ["div", "label", "input", "div"]
# Where HTML, Python's two ways of formatting and jinja2 have their own ideas.
HOSTILE = st.text("<>&\"'`={}%#/\\ a1;-" + string.ascii_letters, min_size=1, max_size=40) | st.sampled_from(
    [
        "</select><script>x</script>",
        '"><img src=x onerror=y>',
        "{{ 7*7 }}",
        "{% raw %}",
        "{0}",
        "%s",
        "<!--",
        "&lt;",
    ]
)
NAMES = HOSTILE | st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), min_size=1, max_size=30)


class Form(HTMLParser):
    """What a browser would make of the form."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fields: list[dict[str, str | None]] = []
        self.labels: list[dict[str, str | None]] = []
        self.options: dict[str | None, str] = {}
        self.selected: list[str | None] = []
        self.other: list[str] = []
        self._option: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        assert len(found) == len(attrs)
        if tag == "option":
            assert set(found) <= {"value", "selected"}
            self._option = found["value"]
            self.options[self._option] = ""
            self.selected += [self._option] if "selected" in found else []
            return
        self.tags.append(tag)
        self.fields += [found] if tag in ("select", "input") else []
        self.labels += [found] if tag == "label" else []

    def handle_endtag(self, tag: str) -> None:
        if tag == "option":
            self._option = None

    def handle_data(self, data: str) -> None:
        if self._option is not None:
            self.options[self._option] += data

    def handle_comment(self, data: str) -> None:
        self.other.append(data)

    def handle_decl(self, decl: str) -> None:
        self.other.append(decl)

    def handle_pi(self, data: str) -> None:
        self.other.append(data)

    def unknown_decl(self, data: str) -> None:
        self.other.append(data)


def form(allowed: Any, *, image: str = "", previous: object = None) -> Form:
    return Form(render(allowed, image=image, previous=previous))


def is_labelled(found: Form) -> None:
    (field,), (label,) = found.fields, found.labels
    assert field["name"] == "image"
    assert field["id"] == label["for"]


@given(st.dictionaries(NAMES, NAMES, min_size=2, max_size=8), NAMES, NAMES | st.none())
def test_names_of_an_administrator_and_a_user_stay_names(
    allowed: dict[str, str], image: str, previous: str | None
) -> None:
    found = form(allowed, image=image, previous=previous)
    assert found.tags == SELECT
    assert found.other == []
    assert list(found.options) == list(allowed)
    assert found.options == {name: name for name in allowed}
    assert len(found.selected) == 1
    is_labelled(found)


@given(NAMES, NAMES | st.none())
def test_text_of_an_administrator_and_a_user_stays_text(image: str, previous: str | None) -> None:
    found = form("*", image=image, previous=previous)
    assert found.tags == TEXT
    assert found.other == []
    assert found.fields[0]["value"] in (image, (previous or "").strip(), previous)
    is_labelled(found)


@given(st.dictionaries(NAMES, st.just("i:1"), min_size=2, max_size=8))
def test_every_name_in_the_form_is_one_that_may_be_chosen(allowed: dict[str, str]) -> None:
    assert [chosen(name, allowed) for name in form(allowed).options] == ["i:1"] * len(allowed)


@pytest.mark.parametrize("allowed", [None, {}, [], {"one": "one:1"}, ["one"]])
def test_there_is_no_form_where_there_is_nothing_to_choose(allowed: Any) -> None:
    assert render(allowed, image="one:1", previous="one") == ""


@pytest.mark.parametrize("allowed", [["b", "a"], ("b", "a"), {"b": "x", "a": "y"}])
def test_images_are_offered_in_the_administrators_order(allowed: Any) -> None:
    assert list(form(allowed).options) == ["b", "a"]


@pytest.mark.parametrize(
    ("image", "previous", "selected"),
    [
        ("b:1", None, "B"),
        ("b:1", "C", "C"),
        ("b:1", "removed", "B"),
        ("b:1", "c:1", "B"),
        ("b:1", "", "B"),
        ("b:1", ["C"], "B"),
        ("b:1", {"C": "C"}, "B"),
        ("b:1", 3, "B"),
        ("elsewhere:1", None, "A"),
        ("elsewhere:1", "removed", "A"),
    ],
)
def test_the_previous_choice_is_selected_else_the_usual_image_else_the_first(
    image: str, previous: object, selected: str
) -> None:
    allowed = {"A": "a:1", "B": "b:1", "C": "c:1"}
    assert form(allowed, image=image, previous=previous).selected == [selected]


@pytest.mark.parametrize(
    ("previous", "value"),
    [(None, "usual:1"), ("mine:1", "mine:1"), ("", "usual:1"), (["mine:1"], "usual:1"), ("a\nb", "usual:1")],
)
def test_where_any_image_goes_the_field_has_the_previous_choice_or_the_usual_image(
    previous: object, value: str
) -> None:
    (field,) = form("*", image="usual:1", previous=previous).fields
    assert field["value"] == value
    assert field["maxlength"] == str(MOST_CHARACTERS)


def test_something_that_is_no_list_of_images_is_an_error_that_says_so() -> None:
    with pytest.raises(BadOption, match=r"`allowed_images` is 5"):
        render(5, image="", previous=None)


NOT_NAMES = [None, 5, True, ["a"], {"a": 1}, "x" * 10_000, "a\nb", "a\0b", "\x1b[31m"]


@pytest.mark.parametrize("allowed", [{}, ["a", "b"], "*"])
@pytest.mark.parametrize("wanted", NOT_NAMES)
def test_what_is_no_name_of_an_image_is_refused_without_being_repeated(allowed: Any, wanted: Any) -> None:
    with pytest.raises(ImageNotAllowed) as caught:
        chosen(wanted, allowed)
    assert "`image`" in str(caught.value)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


def test_the_refusal_names_what_may_be_chosen_but_not_hundreds() -> None:
    with pytest.raises(ImageNotAllowed, match=r"'x' is not in the list of allowed images: A, B\. Choose"):
        chosen("x", {"A": "a:1", "B": "b:1"})
    with pytest.raises(ImageNotAllowed, match=r": 0, 1, .*, 19 and 80 more\."):
        chosen("x", [str(number) for number in range(100)])


def test_users_choose_nothing_by_default() -> None:
    with pytest.raises(ImageNotAllowed, match=r"does not let users choose .* without a choice"):
        chosen("any:1", {})


def test_a_name_with_uncommon_characters_may_be_chosen_where_it_is_on_the_list() -> None:
    assert chosen("Data\u00a0science", {"Data\u00a0science": "d:1"}) == "d:1"


@pytest.mark.parametrize(
    "wanted", ["a", "a:1", "r.example:5000/a/b:1", "a@sha256:" + "0" * 64, "[::1]:5000/a"]
)
def test_any_image_is_any_reference(wanted: str) -> None:
    assert chosen(f" {wanted} ", "*") == wanted


@pytest.mark.parametrize("wanted", ["a b", "a?x=1", "a#b", "<b>", "ä", "{username}", "%41", " ", "a&b"])
def test_any_image_is_still_no_text_that_cannot_be_a_reference(wanted: str) -> None:
    with pytest.raises(ImageNotAllowed, match="name:tag"):
        chosen(wanted, "*")
