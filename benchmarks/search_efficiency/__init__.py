"""How many training passes a search takes to a front: under a simulated clock, against what people use."""
