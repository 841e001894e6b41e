"""Fine-tuning of a trained model on a user's labels, measured before and after on a part kept out."""
