"""The competitors, each as its own documentation has it: run by interpreters that have nothing of ours."""
