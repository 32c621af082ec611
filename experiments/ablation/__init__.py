"""The ablation: what the rules, the policy and the gate between them are each worth, in a closed loop. See `__main__`."""
