package bench

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of the CPU times in /proc/PID/stat: sysconf(_SC_CLK_TCK) is
// 100 on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// processCPU returns the user and system time that a process has used (proc(5)).
func processCPU(pid int) (time.Duration, error) {
	text, err := os.ReadFile(procPath(pid, "stat"))
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	return parseStat(string(text))
}

// parseStat reads fields 14 and 15. Field 2 is a name in parentheses that may hold
// anything.
func parseStat(text string) (time.Duration, error) {
	_, rest, _ := strings.Cut(text[strings.LastIndexByte(text, ')')+1:], " ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("read CPU time: the line is too short")
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	return time.Duration(user+system) * clockTick, nil
}

// machineCPU returns the CPU time that everything on the machine has used, the
// kernel and what a hypervisor took included.
func machineCPU() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("read CPU time of the machine: %w", err)
	}
	return parseMachineStat(string(text))
}

// parseMachineStat adds up the first line but for idle and iowait, its fields 4 and
// 5, and guest times, which are part of user times.
func parseMachineStat(text string) (time.Duration, error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, errors.New("read CPU time of the machine: the line is too short")
	}
	ticks := int64(0)
	for _, i := range []int{1, 2, 3, 6, 7, 8} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read CPU time of the machine: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// processRSS returns the resident memory of a process in bytes.
func processRSS(pid int) (int64, error) {
	text, err := os.ReadFile(procPath(pid, "status"))
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	return parseRSS(string(text))
}

func parseRSS(text string) (int64, error) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			number, _, _ := strings.Cut(strings.TrimSpace(value), " ")
			kib, err := strconv.ParseInt(number, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read memory: %w", err)
			}
			return kib << 10, nil
		}
	}
	return 0, errors.New("read memory: there is no VmRSS")
}

// processDescriptors returns how many descriptors a process has open, and may.
func processDescriptors(pid int) (open, limit int, err error) {
	folder, err := os.Open(procPath(pid, "fd"))
	if err != nil {
		return 0, 0, fmt.Errorf("count descriptors: %w", err)
	}
	names, err1 := folder.Readdirnames(-1)
	text, err2 := os.ReadFile(procPath(pid, "limits"))
	if err := errors.Join(err1, err2, folder.Close()); err != nil {
		return 0, 0, fmt.Errorf("count descriptors: %w", err)
	}
	return len(names), parseDescriptorLimit(string(text)), nil
}

// parseDescriptorLimit returns the soft limit, 0 where there is none.
func parseDescriptorLimit(text string) int {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "Max open files"); ok {
			if fields := strings.Fields(value); len(fields) > 0 {
				limit, _ := strconv.Atoi(fields[0]) // "unlimited" is none
				return limit
			}
		}
	}
	return 0
}

func procPath(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }
