"""`python -m benchmarks` lists the benchmarks: one command each."""

import ast
from pathlib import Path

for file in sorted(Path(__file__).parent.glob("[a-z]*.py")):
    about = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    print(f"python -m benchmarks.{file.stem:<20} {about.splitlines()[0]}")
