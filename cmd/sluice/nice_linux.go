package main

import (
	"os"
	"strconv"
	"syscall"
)

// niceness of what nobody waits for: of the 20 levels below the usual one. At 10 a thread
// gets a tenth of what one that players wait for gets, where both want a processor.
const niceness = 10

// beNice has the process yield to others. Threads that are started later inherit it. What
// the system does not allow is left out: it is a courtesy.
func beNice() {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, task := range tasks {
		if id, err := strconv.Atoi(task.Name()); err == nil {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, id, niceness)
		}
	}
}
