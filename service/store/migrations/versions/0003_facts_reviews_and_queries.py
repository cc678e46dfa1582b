"""facts, reviews and queries"""

import json

import sqlalchemy as sa
from alembic import op

from service.releaselog.facts import facts
from service.store.tables import as_bytes

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

STEP = 1000


def upgrade() -> None:
    op.create_table('fact',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('kind', sa.Text().with_variant(sa.Text(collation='C'), 'postgresql'), nullable=False),
    sa.Column('value', sa.Text().with_variant(sa.Text(collation='C'), 'postgresql'), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('kind', 'value')
    )
    op.create_table('log_fact',
    sa.Column('fact_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('at', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('log_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('position', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.PrimaryKeyConstraint('fact_id', 'at', 'log_id', 'position'),
    sqlite_with_rowid=False
    )
    _fill(op.get_bind())
    op.create_index('log_fact_by_entry', 'log_fact', ['log_id', 'position', 'fact_id'], unique=False)
    op.create_index('log_entry_by_client', 'log_entry', ['client', 'at', 'log_id', 'position'], unique=False)
    op.create_table('review',
    sa.Column('log_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('position', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('at', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('state', sa.Text().with_variant(sa.Text(collation='C'), 'postgresql'), nullable=False),
    sa.Column('closer', sa.Text().with_variant(sa.Text(collation='C'), 'postgresql'), nullable=True),
    sa.PrimaryKeyConstraint('log_id', 'position')
    )
    op.create_index('review_by_state', 'review', ['state', 'at', 'log_id', 'position'], unique=False)
    op.create_table('review_mark',
    sa.Column('log_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('position', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('mark_position', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.PrimaryKeyConstraint('log_id', 'position', 'mark_position')
    )
    op.create_table('saved_query',
    sa.Column('name', sa.Text().with_variant(sa.Text(collation='C'), 'postgresql'), nullable=False),
    sa.Column('query', sa.Text().with_variant(sa.Text(collation='C'), 'postgresql'), nullable=False),
    sa.Column('client', sa.Text().with_variant(sa.Text(collation='C'), 'postgresql'), nullable=False),
    sa.Column('at', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.PrimaryKeyConstraint('name')
    )
    op.create_table('look',
    sa.Column('client', sa.Text().with_variant(sa.Text(collation='C'), 'postgresql'), nullable=False),
    sa.Column('query_sha256', sa.LargeBinary(), nullable=False),
    sa.Column('at', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('event_id', sa.Text().with_variant(sa.Text(collation='C'), 'postgresql'), nullable=False),
    sa.Column('repeats', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.PrimaryKeyConstraint('client', 'query_sha256')
    )


def _fill(connection: sa.Connection) -> None:
    """The facts of what was recorded before facts were kept. A record that cannot be read has none: verification names it."""
    known: dict[tuple[str, str], int] = {}
    place = (-1, -1)
    step = sa.text(
        "SELECT log_id, position, at, record FROM log_entry WHERE (log_id, position) > (:log, :position) ORDER BY log_id, position LIMIT :step"
    )
    while rows := connection.execute(step, {"log": place[0], "position": place[1], "step": STEP}).all():
        found = []
        for log_id, position, at, record in rows:
            for fact in _facts(as_bytes(record)):
                if fact not in known:
                    connection.execute(
                        sa.text("INSERT INTO fact (kind, value) VALUES (:kind, :value)"), {"kind": fact[0], "value": fact[1]}
                    )
                    known[fact] = connection.execute(
                        sa.text("SELECT id FROM fact WHERE kind = :kind AND value = :value"), {"kind": fact[0], "value": fact[1]}
                    ).scalar_one()
                found.append({"fact": known[fact], "at": at, "log": log_id, "position": position})
        if found:
            connection.execute(
                sa.text("INSERT INTO log_fact (fact_id, at, log_id, position) VALUES (:fact, :at, :log, :position)"), found
            )
        place = (rows[-1][0], rows[-1][1])


def _facts(record: bytes) -> frozenset[tuple[str, str]]:
    try:
        value = json.loads(record)
    except ValueError:
        return frozenset()
    return facts(value) if isinstance(value, dict) else frozenset()


def downgrade() -> None:
    op.drop_table('look')
    op.drop_table('saved_query')
    op.drop_table('review_mark')
    op.drop_index('review_by_state', 'review')
    op.drop_table('review')
    op.drop_index('log_entry_by_client', 'log_entry')
    op.drop_index('log_fact_by_entry', 'log_fact')
    op.drop_table('log_fact')
    op.drop_table('fact')
