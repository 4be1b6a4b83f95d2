"""Subject × style × variant: whether every style arrives on every object."""
