module coppice

go 1.19
