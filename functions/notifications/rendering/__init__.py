"""What a message says: phrases in two languages, safe formatting, and the digest that channels lay out."""
