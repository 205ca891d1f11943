"""The look of a report, light and dark, as the reader's system has it, and on paper."""

from __future__ import annotations

# Colours that people with any kind of colour vision can tell apart (Okabe and Ito,
# https://jfly.uni-koeln.de/color/), darker on white and lighter on black.
STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --card: #f5f6f8; --ink: #1c2128; --soft: #59636e; --line: #d5dae0;
  --done: #1f77b4; --lost: #cf4a0a; --spare: #a06aa8; --api: #0a8f6c; --rest: #8c959f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181d; --card: #1e242b; --ink: #e6eaee; --soft: #a0aab4; --line: #39424c;
    --done: #58a8e0; --lost: #f08a4b; --spare: #c79bd0; --api: #3fc39d; --rest: #7d8793;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 1080px; padding: 24px 20px 48px;
  background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif;
}
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 40px 0 8px; padding-top: 16px; border-top: 1px solid var(--line); }
p { margin: 4px 0 10px; }
.note, figcaption, .sub { color: var(--soft); }
.sub { overflow-wrap: anywhere; }
.alarm { border-left: 4px solid var(--lost); padding: 6px 12px; background: var(--card);
  overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(225px, 1fr)); gap: 10px;
  margin: 20px 0 0; padding: 0; }
@media (max-width: 600px) { .tiles { grid-template-columns: 1fr 1fr; } }
.tiles div { background: var(--card); border-radius: 8px; padding: 10px 14px; }
.tiles dt { color: var(--soft); font-size: 13px; }
.tiles dd { margin: 0; }
.tiles .big { font-size: 23px; font-weight: 600; line-height: 1.3; display: block; }
.tiles .small { color: var(--soft); font-size: 13px; display: block; }
figure { margin: 0 0 22px; }
figcaption { margin-bottom: 8px; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 18px; padding: 0;
  margin: 0 0 8px; font-size: 14px; }
.mark { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 7px;
  vertical-align: -1px; }
.wide { overflow-x: auto; }
svg { display: block; width: 100%; min-width: 620px; height: auto; }
svg text { fill: var(--soft); font: 12.5px system-ui, -apple-system, "Segoe UI", "Noto Sans",
  sans-serif; font-variant-numeric: tabular-nums; }
svg text.name { fill: var(--ink); paint-order: stroke; stroke: var(--paper); stroke-width: 4px; }
.axis { stroke: var(--soft); stroke-width: 1; }
.grid { stroke: var(--line); stroke-width: 1; }
.pause { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 4 4; }
.mark-line { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 2 3; }
.c-done { fill: var(--done); background: var(--done); }
.c-lost { fill: var(--lost); background: var(--lost); }
.c-spare { fill: var(--spare); background: var(--spare); }
.c-api { fill: var(--api); background: var(--api); }
.c-rest { fill: var(--rest); background: var(--rest); }
.pale { opacity: 0.4; }
details { margin: 8px 0; }
summary { cursor: pointer; color: var(--soft); font-size: 14px; }
table { border-collapse: collapse; width: 100%; margin: 8px 0; font-size: 14px;
  font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: 600; }
td:first-child { min-width: 12em; }
.n { text-align: right; white-space: nowrap; }
code { font: 13px ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
footer { margin-top: 40px; color: var(--soft); font-size: 13px; }
@media print { body { max-width: none; } details { display: none; } tr { break-inside: avoid; } }
"""
