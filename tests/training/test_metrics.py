from sr_jax.runtime.files import Unsaved
from sr_jax.training.metrics import MetricsLog, read


def test_damaged_lines_are_left_out(tmp_path):
  path = tmp_path / "metrics.jsonl"
  path.write_bytes(b'{"step": 1}\n\xa2\xff\n{"step": null}\n[1]\n{"step": 2, "a')
  assert read(path) == [{"step": 1}]
  assert read(tmp_path / "nothing") == []


def test_what_cannot_be_written_is_noted_and_the_next_line_stands_by_itself(tmp_path, capsys):
  unsaved = Unsaved()
  log = MetricsLog(tmp_path / "metrics.jsonl", unsaved)
  (tmp_path / "metrics.jsonl").mkdir()
  log.append(step=1)
  log.append(step=2)
  assert capsys.readouterr().err.count("WARNING: not saved: lines of metrics.jsonl") == 1
  (tmp_path / "metrics.jsonl").rmdir()
  (tmp_path / "metrics.jsonl").write_text('{"step": 0}\n{"st')
  log.append(step=3)
  log.append(step=4)
  assert [line["step"] for line in read(tmp_path / "metrics.jsonl")] == [0, 3, 4]


def test_a_resumed_training_forgets_its_own_lines_only(tmp_path):
  log = MetricsLog(tmp_path / "metrics.jsonl", Unsaved())
  for step, arm in ((1, "lr"), (2, "lr"), (9, "hr")):
    log.append(step=step, arm=arm)
  assert log.rewind(1, arm="lr") == [{"step": 1, "arm": "lr"}]
  assert [line["step"] for line in read(tmp_path / "metrics.jsonl")] == [1, 9]


def test_lines_that_are_written_again_stand_where_they_stood(tmp_path):
  path, unsaved = tmp_path / "metrics.jsonl", Unsaved()
  log = MetricsLog(path, unsaved)
  for arm in ("lr", "hr", "espcn"):
    for step in (1, 2, 3):
      log.append(step=step, arm=arm)
  whole = path.read_bytes()
  for arm, kept in (("lr", 1), ("hr", 2), ("hr", 0), ("lr", 0), ("espcn", 1)):
    log = MetricsLog(path, unsaved)
    log.rewind(kept, arm=arm)
    for step in range(kept + 1, 4):
      log.append(step=step, arm=arm)
    assert path.read_bytes() == whole
  log.rewind(0, arm="new")
  log.append(step=1, arm="new")
  assert path.read_bytes() == whole + b'{"step": 1, "arm": "new"}\n'


def test_a_kill_while_lines_are_written_again_loses_none_of_others(tmp_path):
  path, unsaved = tmp_path / "metrics.jsonl", Unsaved()
  log = MetricsLog(path, unsaved)
  for arm in ("lr", "hr"):
    for step in (1, 2, 3):
      log.append(step=step, arm=arm)
  whole = path.read_bytes()
  log.rewind(1, arm="lr")
  log.append(step=2, arm="lr")
  again = MetricsLog(path, unsaved)  # the killed one's successor
  again.rewind(2, arm="lr")
  again.append(step=3, arm="lr")
  assert path.read_bytes() == whole
