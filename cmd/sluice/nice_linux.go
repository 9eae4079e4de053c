package main

import (
	"os"
	"strconv"
	"syscall"
)

// niceness is that of what nobody waits for, of 19 levels below the usual one. Where both
// want a processor, and no other group of the system's scheduler is between them, a thread
// at 10 gets a tenth of what one gets that players wait for.
const niceness = 10

// beNice has the process yield to others, unless it does so more already. Threads that are
// started later inherit it. What the system does not allow is left out: it is a courtesy.
func beNice() {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			continue
		}
		// The system call tells 20 less the niceness.
		if now, err := syscall.Getpriority(syscall.PRIO_PROCESS, id); err == nil && 20-now < niceness {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, id, niceness)
		}
	}
}
