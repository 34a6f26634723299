"""MIM, Memory In Memory (Wang et al., CVPR 2019): the network, its training and its files."""
