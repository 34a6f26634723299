"""Recipes: what ships, a file of a user's, and what a wrong one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.load import ConfigError
from config.recipe import RECIPES


def test_every_recipe_that_ships_holds() -> None:
    recipes = RECIPES.all()
    assert "radar" in recipes
    assert RECIPES.named("radar") == recipes["radar"]


def test_a_file_will_do_for_a_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('title = "Mine"\n[network]\nhidden = 8\n')
    assert RECIPES.named(str(path)).network.hidden == 8


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[training]\nsteps = 0\n", "training.steps: found 0, expected: greater than or equal"),
        ("[training]\nstep = 1\n", r"training\.step: unknown key; did you mean steps"),
        ("[network]\nxyz = 1\n", r"network\.xyz: unknown key, expected one of hidden, layers, "),
        ('[[sources]]\nfeed = "knmi"\n', r"sources\.0\.archive: missing, expected a value"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"mine\.toml: {told}"):
        RECIPES.named(str(path))


def test_a_name_that_nobody_knows(tmp_path: Path) -> None:
    said = (
        r"unknown recipe 'rader'\. Did you mean radar or radar-wider\? "
        r"Known: radar.*or a path that ends"
    )
    with pytest.raises(ConfigError, match=said):
        RECIPES.named("rader")
    with pytest.raises(ConfigError, match=r"absent\.toml: not a readable TOML file: .*No such"):
        RECIPES.named(str(tmp_path / "absent.toml"))


def test_a_feed_that_is_left_out_is_in_no_part_of_the_recipe() -> None:
    recipe = RECIPES.named("radar-wider")
    without = recipe.without("mch", "cf")
    assert {source.feed for source in recipe.sources} >= {"mch", "knmi"}
    assert not {"mch", "cf"} & {source.feed for source in (*without.sources, *without.validation)}
    assert {source.feed for source in without.sources} >= {"knmi", "dwd-radolan"}
    assert without.training == recipe.training
    assert recipe.without() == recipe


def test_the_wider_recipe_begins_as_the_one_that_ships() -> None:
    ships, wider = RECIPES.named("radar"), RECIPES.named("radar-wider")
    assert wider.network == ships.network
    assert wider.validation == ships.validation
    assert wider.variety == ships.variety
    first = [source for source in wider.sources if source.from_step == 0]
    late = {source.from_step for source in wider.sources if source not in first}
    assert tuple(first) == ships.sources
    assert late == {ships.training.steps}
    steps = {"steps": ships.training.steps}
    assert wider.training.model_copy(update=steps) == ships.training
