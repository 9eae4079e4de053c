package audit_test

import (
	"testing"

	"github.com/sluice-gems/sluice/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }
