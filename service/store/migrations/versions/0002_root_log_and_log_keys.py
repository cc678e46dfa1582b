"""root log and log keys"""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
_TEXT = sa.Text().with_variant(sa.Text(collation='C'), 'postgresql')


def upgrade() -> None:
    op.create_table('log_key',
    sa.Column('public', sa.LargeBinary(), nullable=False),
    sa.Column('from_at', _BIG, nullable=False),
    sa.Column('until', _BIG, nullable=False),
    sa.PrimaryKeyConstraint('public')
    )
    op.create_table('signing',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('newest_key', _BIG, nullable=False),
    sa.Column('witnessed_at', _BIG, nullable=False),
    sa.Column('halted_at', _BIG, nullable=True),
    sa.Column('halted_why', _TEXT, nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    op.execute('INSERT INTO signing (id, newest_key, witnessed_at) VALUES (1, 0, 0)')
    op.create_table('root_head',
    sa.Column('log_id', _BIG, nullable=False),
    sa.Column('position', _BIG, nullable=False),
    sa.Column('note', _TEXT, nullable=False),
    sa.PrimaryKeyConstraint('log_id', 'position')
    )
    op.create_table('witness',
    sa.Column('name', _TEXT, nullable=False),
    sa.Column('url', _TEXT, nullable=False),
    sa.Column('vkey', _TEXT, nullable=False),
    sa.Column('added_at', _BIG, nullable=False),
    sa.PrimaryKeyConstraint('name')
    )
    op.create_table('cosignature',
    sa.Column('size', _BIG, nullable=False),
    sa.Column('vkey', _TEXT, nullable=False),
    sa.Column('line', _TEXT, nullable=False),
    sa.Column('at', _BIG, nullable=False),
    sa.PrimaryKeyConstraint('size', 'vkey')
    )


def downgrade() -> None:
    op.drop_table('cosignature')
    op.drop_table('witness')
    op.drop_table('root_head')
    op.drop_table('signing')
    op.drop_table('log_key')
