"""The command `lcm`, for people: it reads what they have written and says what is wrong with it."""
