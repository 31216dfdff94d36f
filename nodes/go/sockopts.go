package main

import (
	"flag"
	"fmt"
	"strings"
	"syscall"
)

// sockopts are options that are set on each socket before it is bound, as nodes/base/socketoptions.py writes them.
type sockopts []sockopt

type sockopt struct{ level, name, value int }

func sockoptFlag() *sockopts {
	var options sockopts
	flag.Var(&options, "sockopts", "level:option:value, several with commas between")
	return &options
}

func (o *sockopts) String() string { return "" }

func (o *sockopts) Set(text string) error {
	for _, part := range strings.Split(text, ",") {
		var one sockopt
		if _, err := fmt.Sscanf(part, "%d:%d:%d", &one.level, &one.name, &one.value); err != nil {
			return err
		}
		*o = append(*o, one)
	}
	return nil
}

// control is what net.Dialer and net.ListenConfig call with a new socket.
func (o *sockopts) control(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		for _, one := range *o {
			if one.level == syscall.SOL_SOCKET && one.name == syscall.SO_LINGER {
				linger := &syscall.Linger{Onoff: 1, Linger: int32(one.value)}
				failed = syscall.SetsockoptLinger(int(fd), one.level, one.name, linger)
			} else {
				failed = syscall.SetsockoptInt(int(fd), one.level, one.name, one.value)
			}
			if failed != nil {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return failed
}
