//go:build !linux

package main

// beNice has the process yield to others on Linux.
func beNice() {}
