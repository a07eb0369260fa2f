package trace

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
)

// Entries of the auxiliary vector, which the kernel puts above the environment on the stack.
const (
	auxNull        = 0
	auxIgnore      = 1
	auxSysinfoEHDR = 33 // where the vDSO is mapped
	stackWordsMax  = 1 << 16
)

// hideVDSO makes a program that has not begun yet find no vDSO, so that it asks the kernel for the
// time, by a system call that can be seen.
func hideVDSO(pid int) error {
	var regs syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(pid, &regs); err != nil {
		return err
	}
	at, zeros := uintptr(regs.Rsp)+8, 0 // behind argc: argv, a zero, the environment, a zero
	for range stackWordsMax {
		word, err := peek(pid, at)
		if err != nil {
			return err
		}
		at += 8
		if zeros < 2 {
			if word == 0 {
				zeros++
			}
			continue
		}
		switch word {
		case auxNull:
			return nil
		case auxSysinfoEHDR:
			return poke(pid, at-8, auxIgnore)
		}
		at += 8
	}
	return errors.New("the auxiliary vector has no end")
}

// moveTime adds seconds to the timespec at an address, which the kernel has just written.
func moveTime(tid int, at uintptr, seconds int64) {
	if word, err := peek(tid, at); err == nil {
		_ = poke(tid, at, word+uint64(seconds)) // it fails where the thread is gone
	}
}

func peek(pid int, at uintptr) (uint64, error) {
	var word [8]byte
	if n, err := syscall.PtracePeekData(pid, at, word[:]); err != nil || n != len(word) {
		return 0, fmt.Errorf("read memory of %d: %w", pid, err)
	}
	return binary.LittleEndian.Uint64(word[:]), nil
}

func poke(pid int, at uintptr, value uint64) error {
	var word [8]byte
	binary.LittleEndian.PutUint64(word[:], value)
	if _, err := syscall.PtracePokeData(pid, at, word[:]); err != nil {
		return fmt.Errorf("write memory of %d: %w", pid, err)
	}
	return nil
}
