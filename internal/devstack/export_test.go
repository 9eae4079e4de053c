package devstack

import "context"

// FindBinaries looks for a server in PATH and in the folders of globs only.
func FindBinaries(ctx context.Context, major string, globs ...string) (version string, err error) {
	b, err := findIn(ctx, major, globs)
	return b.version, err
}

// KeepWaiting is Keep with another wait between the starts.
var KeepWaiting = keep
