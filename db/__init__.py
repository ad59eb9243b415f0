"""The database: tables, migrations, every read and every change of status. It knows no tensor."""
