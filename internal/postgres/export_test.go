package postgres

// Parse and the others below let tests look at one step.
var (
	Parse                 = parse
	ListenerDSN           = listenerDSN
	MigrateFiles          = migrate
	MigrationsCurrentWith = migrationsCurrent
	PendingMigrationsWith = pendingMigrations
)
