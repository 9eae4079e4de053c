package main

import (
	"context"
	"fmt"
	"runtime/debug"
)

// version is stamped by the build of a release (-ldflags "-X main.version=v1.2.3",
// see the Dockerfile). Empty: what Go knows of the build.
var version string

// versionCommand prints which build this is.
type versionCommand struct{}

// Run prints only the version.
func (versionCommand) Run(_ context.Context, io stdio) error {
	_, err := fmt.Fprintln(io.Out, buildVersion())
	return err
}

func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}
