"""Every quantity of a run by its recorded name, to compare with the released code."""
