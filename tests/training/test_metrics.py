from sr_jax.run_folder import Unsaved
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
