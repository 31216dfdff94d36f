module simctl/go

go 1.19
