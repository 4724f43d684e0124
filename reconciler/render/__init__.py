"""How plans and applies are shown: every module here turns a Plan or events into text."""
