"""What the rules, the policy and the gate between them are each worth, in a closed loop; see `__main__`."""
