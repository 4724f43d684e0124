"""How plans and applies are shown; every module here reads a Plan or events and returns text."""
