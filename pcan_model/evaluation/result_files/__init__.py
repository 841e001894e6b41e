"""Result files of any tracker, scored as the data sets' official tools do."""
