package main

import "io"

// filling is a body of bytes without an end.
type filling struct{}

func (filling) Read(buffer []byte) (int, error) {
	for place := range buffer {
		buffer[place] = 'x'
	}
	return len(buffer), nil
}

// madeUp is a body of so many bytes, which are made while they are sent.
func madeUp(size int64) io.ReadCloser {
	return io.NopCloser(io.LimitReader(filling{}, size))
}
