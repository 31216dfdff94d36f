module simctl/go-client

go 1.19
