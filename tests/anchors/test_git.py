"""Tests of anchors in git: what is committed and pushed, and what git is kept from."""

from pathlib import Path

import pytest

from proxy.anchors.git import GitPlace
from proxy.anchors.place import Label
from proxy.errors import ConfigError, UnavailableError
from tests.anchors.scenes import NAME, Scene, Spot, a_repository, git, grow

LABEL = Label(7, "0123456789abcdef")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Begin with an empty repository."""
    path = a_repository(tmp_path / "place")
    return Scene(tmp_path, Spot({"type": "git", "path": str(path)}, path))


@pytest.fixture
def remote(scene: Scene, tmp_path: Path) -> Path:
    """Make a remote that the repository knows."""
    path = tmp_path / "remote.git"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch", "main", str(path))
    git(scene.spot.path, "remote", "add", "origin", str(path))
    scene.spot.table["remote"] = "origin"
    return path


def a_place(scene: Scene, author: str = "Log <log@example.com>") -> GitPlace:
    """Return the place alone."""
    return GitPlace(NAME, scene.spot.path, scene.spot.table.get("remote"), author)


async def test_each_anchor_is_a_commit_of_one_file(scene: Scene) -> None:
    """By whom the configuration says, with a message that tells the size and the log."""
    scene.spot.table["author"] = "Log <log@example.com>"
    await scene.grown(3)
    await scene.grown(1)
    shown = git(scene.spot.path, "log", "--format=%an <%ae> %cn|%s", "--name-only", "--reverse")
    lines = [line for line in shown.splitlines() if line]
    assert "Log <log@example.com> Log|Checkpoint of 3 entries of tfaudit.test/fake" == lines[0]
    assert sorted(scene.spot.contents()) == [lines[1], lines[3]]
    assert "" == git(scene.spot.path, "status", "--porcelain")


async def test_a_directory_in_a_repository_will_do(scene: Scene) -> None:
    """What else there is stays as it is, staged or not, ignored or not."""
    (scene.spot.path / ".gitignore").write_text("*\n")
    (scene.spot.path / "README").write_text("one\n")
    git(scene.spot.path, "add", "--force", "README")
    inner = scene.spot.path / "a ü" / "prod"
    inner.mkdir(parents=True)
    scene.spot.table["path"] = str(inner)
    await scene.grown(3)
    await scene.grown(2)
    assert "A  README" == git(scene.spot.path, "status", "--porcelain")
    names = git(scene.spot.path, "ls-tree", "-r", "--name-only", "-z", "HEAD").strip("\0")
    assert [f"a ü/prod/{each.name}" for each in sorted(inner.iterdir())] == names.split("\0")


@pytest.mark.parametrize("step", ["written", "added"])
async def test_what_a_kill_left_uncommitted_is_committed_with_the_next(
    scene: Scene, step: str
) -> None:
    """The file was written, or also added."""
    place = a_place(scene)
    (scene.spot.path / LABEL.name).write_text("note\n")
    if step == "added":
        git(scene.spot.path, "add", LABEL.name)
    await place.put(LABEL, "note\n")
    assert place.is_settled
    await place.aclose()
    assert LABEL.name == git(scene.spot.path, "ls-tree", "--name-only", "HEAD")
    assert "" == git(scene.spot.path, "status", "--porcelain")


async def test_what_a_kill_left_unpushed_is_pushed_after_the_start(
    scene: Scene, remote: Path
) -> None:
    """The log did not grow since."""
    del scene.spot.table["remote"]
    await scene.grown(3)
    scene.spot.table["remote"] = "origin"
    await scene.grown(0)
    assert git(scene.spot.path, "rev-parse", "HEAD") == git(remote, "rev-parse", "main")


async def test_a_restored_working_tree_is_found_by_its_remote(scene: Scene, remote: Path) -> None:
    """Log and repository were restored together."""
    await scene.grown(3)
    scene.back_up()
    before = git(scene.spot.path, "rev-parse", "HEAD")
    await scene.grown(2)
    scene.restore()
    git(scene.spot.path, "reset", "--quiet", "--hard", before)
    async with scene.opened() as (store, anchors):
        with pytest.raises(ConfigError, match="knows with 5 entries"):
            await anchors.check()
        await grow(store, 9)
        with pytest.raises(ConfigError, match="knows with 5 entries"):
            await anchors.check()
    assert git(remote, "rev-parse", "main") != before


async def test_a_remote_that_refuses_or_is_away_is_told(scene: Scene, remote: Path) -> None:
    """Others pushed to it, or it can't be reached; what git says of the far side is kept back."""
    await scene.grown(1)
    other = scene.directory / "other"
    git(scene.directory, "clone", "--quiet", str(remote), str(other))
    git(other, "commit", "--quiet", "--allow-empty", "--message", "theirs")
    git(other, "push", "--quiet")
    async with scene.opened() as (store, anchors):
        await grow(store, 1)
        await anchors.keep()
        assert "git push of origin ended with 1: run it in" in anchors.failures[NAME]
        git(scene.spot.path, "pull", "--quiet", "--rebase", "origin", "main")
        await anchors.keep()
        assert {} == anchors.failures
        remote.rename(scene.directory / "away")
        await grow(store, 1)
        await anchors.keep()
        assert anchors.failures[NAME].startswith("git ls-remote of origin ended with 128")
        assert "away" not in anchors.failures[NAME]


async def test_no_hook_and_no_filter_of_the_repository_runs(scene: Scene, remote: Path) -> None:
    """Whatever hooks are put there, and whoever should sign or watch."""
    ran = scene.directory / "ran"
    hooks = scene.spot.path / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    names = ("pre-commit", "prepare-commit-msg", "commit-msg", "post-commit", "pre-push")
    for name in (*names, "reference-transaction", "post-index-change"):
        hook = hooks / name
        hook.write_text(f"#!/bin/sh\necho {name} >> {ran}\n")
        hook.chmod(0o700)
    program = hooks / "other"
    program.write_text(f"#!/bin/sh\necho other >> {ran}\nexit 1\n")
    program.chmod(0o700)
    for key in ("core.fsmonitor", "gpg.program"):
        git(scene.spot.path, "config", key, str(program))
    git(scene.spot.path, "config", "commit.gpgSign", "true")
    await scene.grown(2)
    assert not ran.exists()
    assert git(scene.spot.path, "rev-parse", "HEAD") == git(remote, "rev-parse", "main")


async def test_git_gets_no_secret_and_asks_nobody(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor another repository than the one that is named."""
    shown = tmp_path / "environment"
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nenv > {shown}\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("TFAUDIT_SECRET_X", "hunter2")
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -i key")
    place = a_place(scene)
    await place._git("status")
    await place.aclose()
    found = dict(line.split("=", 1) for line in shown.read_text().splitlines())
    assert ("0", "never") == (found["GIT_TERMINAL_PROMPT"], found["SSH_ASKPASS_REQUIRE"])
    assert "ssh -i key" == found["GIT_SSH_COMMAND"]
    assert not {"GIT_DIR", "TFAUDIT_SECRET_X"} & found.keys()


async def test_a_git_that_hangs_is_ended(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all that it started."""
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nsleep 60 & wait\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr("proxy.anchors.git.SECONDS", 0.2)
    place = a_place(scene)
    with pytest.raises(UnavailableError, match=r"git status .* did not end within 0\.2 s"):
        await place._git("status")
    await place.aclose()


async def test_no_git_no_repository_and_no_branch_are_told(
    scene: Scene, tmp_path: Path, remote: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with what to do."""
    await scene.grown(1)
    assert remote.is_dir()
    git(scene.spot.path, "checkout", "--quiet", "--detach")
    plain = tmp_path / "plain"
    plain.mkdir()
    for path, far, said in (
        (scene.spot.path, "origin", "is on no branch that could be pushed: check one out"),
        (plain, None, "git ls-files in .* ended with 128: fatal: not a git repository"),
        (tmp_path / "missing", None, "there is no directory .*: make it, or mount"),
    ):
        place = GitPlace(NAME, path, far, "L <l@x>")
        with pytest.raises(UnavailableError, match=said):
            await (place.put(LABEL, "note\n") if path == plain else place.seen(1))
        await place.aclose()
    monkeypatch.setenv("PATH", str(plain))
    place = a_place(scene)
    with pytest.raises(UnavailableError, match="there is no program git: install it"):
        await place._git("status")
    await place.aclose()


async def test_a_bare_repository_is_refused(scene: Scene, tmp_path: Path) -> None:
    """At the start, whatever loose files lie in it."""
    bare = tmp_path / "bare.git"
    bare.mkdir()
    git(bare, "init", "--quiet", "--bare")
    (bare / LABEL.name).write_text("note\n")
    async with scene.opened(path=str(bare)) as (_, anchors):
        with pytest.raises(ConfigError, match="is no working tree but a bare repository"):
            await anchors.check()
        assert "clone it, name the clone" in anchors.failures[NAME]
