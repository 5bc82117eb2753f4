"""The labelling loop: patches that teach most are chosen, and the answers of a person become a dataset."""
