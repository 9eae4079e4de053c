package economy

import "testing"

// The exported steps ask before they move; this is the net below them.
func TestAForbiddenMovePanicsBeforeItCostsMoney(t *testing.T) {
	t.Parallel()
	for _, from := range States {
		for _, to := range States {
			func() {
				defer func() {
					if panicked := recover() != nil; panicked == CanMove(from, to) {
						t.Errorf("%s to %s: panicked %v", from, to, panicked)
					}
				}()
				if moved := (Spend{State: from}).moved(to, ""); moved.State != to {
					t.Errorf("%s to %s: is %s", from, to, moved.State)
				}
			}()
		}
	}
}
