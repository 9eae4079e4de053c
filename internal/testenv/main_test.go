package testenv

import (
	"fmt"
	"io"
	"os"
	"testing"
)

// hangEnv makes the test binary a test binary that hangs, to be killed.
const hangEnv = "SLUICE_TESTENV_HANG"

func TestMain(m *testing.M) {
	if os.Getenv(hangEnv) != "" {
		hang()
		return
	}
	Main(m)
}

// hang starts both servers, says where they are, and waits for the end.
func hang() {
	shared, err := sharedServer()
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	disk, err := diskFolder()
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fast, err := fastFolder()
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(shared.server.URL("postgres"), fast, disk)
	_, _ = io.Copy(io.Discard, os.Stdin)
}
